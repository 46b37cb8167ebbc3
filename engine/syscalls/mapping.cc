#include "syscalls/mapping.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace viewsh {

int memory_of(Task& task) {
  if (!task.mm->mem) {
    std::string path = "/proc/" + std::to_string(task.tid) + "/mem";
    task.mm->mem.reset(open(path.c_str(), O_RDWR | O_CLOEXEC));
  }
  return task.mm->mem.get();
}

void ask_for_memory(Registers* regs, size_t size, bool code) {
  regs->orig_rax = SYS_mmap;
  regs->rdi = 0;
  regs->rsi = size;
  regs->rdx = static_cast<unsigned>(PROT_READ | (code ? PROT_EXEC : PROT_WRITE));
  regs->r10 = static_cast<unsigned>(MAP_PRIVATE | MAP_ANONYMOUS);
  regs->r8 = static_cast<unsigned long long>(-1);
  regs->r9 = 0;
}

bool may_call(const Task& task, const Registers& regs, uint64_t instruction) {
  if (!task.filters) return true;
  seccomp_data call{static_cast<int>(regs.orig_rax),
                    AUDIT_ARCH_X86_64,
                    instruction,
                    {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9}};
  return allowed_by(task.filters, call);
}

bool may_ask_for_memory(const Task& task, const Registers& regs, size_t size, bool code) {
  if (task.mm->refused_memory) return false;
  Registers asking = regs;
  ask_for_memory(&asking, size, code);
  return may_call(task, asking, regs.rip);
}

bool may_shorten_fstat(const Task& task, const Registers& regs, const CallSite& site) {
  Registers call = regs;
  call.orig_rax = SYS_newfstatat;
  call.r10 = AT_EMPTY_PATH;
  if (!may_call(task, call, site.returns)) return false;
  call.orig_rax = SYS_fstat;
  call.rsi = regs.rdx;
  return may_call(task, call, site.returns);
}

}  // namespace viewsh

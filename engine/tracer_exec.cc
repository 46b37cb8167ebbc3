#include <elf.h>

#include <climits>
#include <cstddef>
#include <cstring>

#include "base/loader_config.h"
#include "syscalls/proc_view.h"
#include "tracer.h"

namespace viewsh {

namespace {

/// Reads a tracee's memory word by word, forwards, a page at a time.
class WordReader {
 public:
  WordReader(const TraceeMemory& memory, uint64_t at) : memory_(memory), at_(at) {}
  uint64_t at() const { return at_; }
  void skip(uint64_t words) { at_ += words * sizeof(uint64_t); }
  std::optional<uint64_t> next() {
    if (at_ + sizeof(uint64_t) > base_ + size_ && !load()) return std::nullopt;
    uint64_t word = 0;
    memcpy(&word, bytes_ + (at_ - base_), sizeof word);
    at_ += sizeof word;
    return word;
  }

 private:
  bool load() {
    base_ = at_;
    size_ = 0;
    Result<size_t> n = memory_.read_some(at_, bytes_, sizeof bytes_ - at_ % sizeof bytes_);
    if (!n.ok() || *n < sizeof(uint64_t)) return false;
    size_ = *n;
    return true;
  }

  const TraceeMemory& memory_;
  uint64_t at_;
  uint64_t base_ = 0;
  size_t size_ = 0;
  char bytes_[4096];
};

/// Calls `each` with type, value and the value's address for the entries of the auxiliary vector on
/// a new program's stack.
template <typename Each>
void for_each_auxiliary(const TraceeMemory& memory, uint64_t stack, const Each& each) {
  WordReader words(memory, stack);
  std::optional<uint64_t> argc = words.next();
  if (!argc) return;
  words.skip(*argc + 1);
  while (true) {  // the environment, up to its NULL
    std::optional<uint64_t> word = words.next();
    if (!word) return;
    if (*word == 0) break;
  }
  for (int i = 0; i < 64; ++i) {
    std::optional<uint64_t> found = words.next();
    const uint64_t at = words.at();
    std::optional<uint64_t> value = words.next();
    if (!found || !value || *found == AT_NULL) return;
    each(*found, *value, at);
  }
}

/// The value of one entry; 0: not there.
uint64_t auxiliary_value(const TraceeMemory& memory, uint64_t stack, uint64_t type) {
  uint64_t out = 0;
  for_each_auxiliary(memory, stack, [&](uint64_t found, uint64_t value, uint64_t) {
    if (found == type) out = value;
  });
  return out;
}

/// AT_UID and its kin, by which a C library knows its ids without a call. getauxval(3)
void show_identity(const TraceeMemory& memory, uint64_t stack, const Credentials& who) {
  for_each_auxiliary(memory, stack, [&](uint64_t found, uint64_t, uint64_t at) {
    // A task that was killed meanwhile has no memory any more.
    if (const auto id = auxiliary_id(who, found)) (void)memory.put(at, uint64_t{*id}).ok();
  });
}

/// Tells our loader, which is what the kernel started, what to start. A loader that is not told
/// (one of another version) ends by itself.
void fill_loader(const TraceeMemory& memory, const PendingExec& exec) {
  Result<uint64_t> magic = memory.get<uint64_t>(kLoaderConfigAddress);
  if (!magic.ok() || *magic != LoaderConfig::kMagic) return;
  LoaderConfig config{LoaderConfig::kMagic, {}, 0, 0, 1, {}};
  size_t end = exec.program.size() + 1;
  size_t used = end + exec.interpreter.size() + 1;
  if (used > sizeof config.text || exec.comm.size() >= sizeof config.comm) return;
  memcpy(config.comm, exec.comm.data(), exec.comm.size());
  memcpy(config.text, exec.program.data(), exec.program.size());
  memcpy(config.text + end, exec.interpreter.data(), exec.interpreter.size());
  config.interpreter = static_cast<uint32_t>(end);
  // A task that was killed meanwhile has no memory any more.
  (void)memory.write(kLoaderConfigAddress, &config, offsetof(LoaderConfig, text) + used).ok();
}

/// AT_EXECFN: the name that was given takes the place of the host path, which was made long enough.
void name_program(const TraceeMemory& memory, uint64_t stack, const std::string& name) {
  uint64_t text = auxiliary_value(memory, stack, AT_EXECFN);
  if (text == 0) return;
  Result<std::string> present = memory.read_string(text, PATH_MAX);
  if (present.ok() && name.size() <= present->size()) {
    // As above: who is gone needs no name.
    (void)memory.write(text, name.c_str(), name.size() + 1).ok();
  }
}

}  // namespace

/// What had to wait until the program's memory was open.
void Tracer::finish_name(const TraceeMemory& memory, AddressSpace& mm, const Identity* identity) {
  if (identity != nullptr) show_identity(memory, mm.late_stack, identity->credentials());
  if (!mm.late_name.empty()) name_program(memory, mm.late_stack, mm.late_name);
  mm.late_name.clear();
}

void Tracer::finish_exec(Task& task, Stopped& stopped) {
  if (!task.exec) return;
  PendingExec exec = std::move(*task.exec);
  task.exec.reset();
  task.mm->exe = exec.exe;
  const Identity* identity = session_.identity;
  const bool nothing = exec.name.empty() && !exec.unreadable && identity == nullptr;
  if (nothing || !stopped.load()) return;
  ProcessMemory memory(task.tid);
  if (exec.unreadable) {
    task.mm->closed = !memory.get<uint64_t>(stopped.regs().rsp).ok();
    task.mm->late_name = exec.name;
    task.mm->late_stack = stopped.regs().rsp;
    if (task.mm->closed) return;
  }
  if (identity != nullptr) show_identity(memory, stopped.regs().rsp, identity->credentials());
  if (exec.name.empty()) return;
  name_program(memory, stopped.regs().rsp, exec.name);
  if (!exec.program.empty()) fill_loader(memory, exec);
}

}  // namespace viewsh

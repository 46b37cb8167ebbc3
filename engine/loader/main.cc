/// viewsh-loader: starts a program that the kernel alone would start with the host's ELF
/// interpreter, or under the wrong name. The engine lets an execve(2) in a view run this program
/// instead and says in LoaderConfig what is meant. What the program then finds is what the kernel
/// would have left: its segments and its interpreter's in memory, the auxiliary vector, the heap
/// after the program, the task's name, all registers zero. The files are opened by their view
/// paths; those calls are trapped as any other.
///
/// Freestanding, without relocations: it shares its address space with the program.
#include <elf.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "base/loader_config.h"
#include "loader/image.h"
#include "loader/system.h"

namespace viewsh::loader {

/// The last part of the image; its section's place is given to the linker.
[[gnu::section(".viewsh_config"), gnu::used]] LoaderConfig config{
    LoaderConfig::kMagic, {}, 0, 0, 0, {}};

/// Labels of the code below.
extern "C" {
[[gnu::visibility("hidden")]] extern char viewsh_leave[];
[[gnu::visibility("hidden")]] extern char viewsh_leave_entry[];
[[gnu::visibility("hidden")]] extern char viewsh_leave_end[];
}

/// The start, and the last instructions, which run from a page of their own: the loader is gone.
asm(R"(
  .text
  .globl _start
  .type _start, @function
_start:
  xor %ebp, %ebp
  mov %rsp, %rdi
  and $-16, %rsp
  call viewsh_load
  hlt
  .size _start, . - _start
  .hidden viewsh_leave
  .hidden viewsh_leave_entry
  .hidden viewsh_leave_end
  .globl viewsh_leave
  .globl viewsh_leave_entry
  .globl viewsh_leave_end
viewsh_leave:
  syscall
  xor %eax, %eax
  xor %ebx, %ebx
  xor %ecx, %ecx
  xor %edx, %edx
  xor %esi, %esi
  xor %edi, %edi
  xor %ebp, %ebp
  xor %r8d, %r8d
  xor %r9d, %r9d
  xor %r10d, %r10d
  xor %r11d, %r11d
  xor %r12d, %r12d
  xor %r13d, %r13d
  xor %r14d, %r14d
  xor %r15d, %r15d
  jmp *viewsh_leave_entry(%rip)
  .balign 8
viewsh_leave_entry:
  .quad 0
viewsh_leave_end:
)");

namespace {

/// The parts of the stack that the kernel prepared.
struct Stack {
  uint64_t at;
  char** argv;
  uint64_t argc;
  char** envp;
  uint64_t envc;
  Elf64_auxv_t* auxv;
  uint64_t auxv_size;
};

Stack read_stack(uint64_t* sp) {
  Stack out{};
  out.at = address_of(sp);
  out.argc = *sp;
  out.argv = reinterpret_cast<char**>(sp + 1);
  out.envp = out.argv + out.argc + 1;
  while (out.envp[out.envc] != nullptr) ++out.envc;
  out.auxv = reinterpret_cast<Elf64_auxv_t*>(out.envp + out.envc + 1);
  uint64_t count = 0;
  while (out.auxv[count].a_type != AT_NULL) ++count;
  out.auxv_size = (count + 1) * sizeof(Elf64_auxv_t);
  return out;
}

void fix_auxv(const Stack& stack, const Image& program, const Image& interpreter) {
  for (Elf64_auxv_t* entry = stack.auxv; entry->a_type != AT_NULL; ++entry) {
    switch (entry->a_type) {
      case AT_PHDR:
        entry->a_un.a_val = program.headers;
        break;
      case AT_PHENT:
        entry->a_un.a_val = sizeof(Elf64_Phdr);
        break;
      case AT_PHNUM:
        entry->a_un.a_val = program.header_count;
        break;
      case AT_BASE:
        entry->a_un.a_val = interpreter.bias;
        break;
      case AT_ENTRY:
        entry->a_un.a_val = program.entry;
        break;
      default:
        break;
    }
  }
}

/// A number below 2^bits; 0 where the task asked for fixed addresses. personality(2).
uint64_t random_bits(unsigned bits) {
  constexpr uint64_t kAddrNoRandomize = 0x0040000;
  constexpr uint64_t kNonblock = 1;
  long flags = system_call(SYS_personality, 0xffffffff);
  if (failed(flags) || (static_cast<uint64_t>(flags) & kAddrNoRandomize) != 0) return 0;
  uint64_t value = 0;
  system_call(SYS_getrandom, address_of(&value), sizeof value, kNonblock);
  return value & ((uint64_t{1} << bits) - 1);
}

/// Where the kernel places a PIE: ELF_ET_DYN_BASE and 28 random bits of pages.
uint64_t place_of_pie() {
  constexpr uint64_t kBase = 0x555555554000;
  return kBase + random_bits(28) * kPageSize;
}

uint64_t after_text(const char* text) {
  while (*text != '\0') ++text;
  return address_of(text) + 1;
}

/// Moves the heap behind the program, and tells the kernel what /proc/PID/stat and auxv shall show.
/// Where the kernel can't (CONFIG_CHECKPOINT_RESTORE), the heap begins behind the loader.
void describe(const Stack& stack, const Image& program) {
  prctl_mm_map map;
  zero(address_of(&map), sizeof map);
  map.start_code = program.code_begin;
  map.end_code = program.code_end;
  map.start_data = program.data_begin;
  map.end_data = program.data_end;
  map.start_brk = page_ceil(program.end) + random_bits(18) * kPageSize;
  map.brk = map.start_brk;
  map.start_stack = stack.at;
  uint64_t argv_end = stack.argc > 0 ? after_text(stack.argv[stack.argc - 1]) : 0;
  uint64_t envp_end = stack.envc > 0 ? after_text(stack.envp[stack.envc - 1]) : argv_end;
  map.env_end = envp_end;
  map.env_start = stack.envc > 0 ? address_of(stack.envp[0]) : envp_end;
  map.arg_end = stack.argc > 0 ? argv_end : map.env_start;
  map.arg_start = stack.argc > 0 ? address_of(stack.argv[0]) : map.arg_end;
  map.auxv = reinterpret_cast<__u64*>(stack.auxv);
  map.auxv_size = static_cast<__u32>(stack.auxv_size);
  map.exe_fd = static_cast<__u32>(-1);
  system_call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, address_of(&map), sizeof map);
}

/// Removes the loader from memory and jumps; a page with the jump stays.
[[noreturn]] void leave(uint64_t entry, uint64_t sp) {
  long got = system_call(SYS_mmap, 0, kPageSize, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0});
  if (failed(got)) die();
  auto page = static_cast<uint64_t>(got);
  uint64_t begin = address_of(viewsh_leave);
  copy(page, begin, address_of(viewsh_leave_end) - begin);
  *reinterpret_cast<uint64_t*>(page + (address_of(viewsh_leave_entry) - begin)) = entry;
  if (failed(system_call(SYS_mprotect, page, kPageSize, PROT_READ | PROT_EXEC))) die();
  uint64_t size = page_ceil(address_of(&config + 1)) - kLoaderAddress;
  asm volatile("mov %[sp], %%rsp\n\tjmp *%[page]"
               :
               : "a"(SYS_munmap), "D"(kLoaderAddress), "S"(size), [sp] "r"(sp), [page] "r"(page)
               : "memory");
  __builtin_unreachable();
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void viewsh_load(uint64_t* sp) {
  constexpr uint64_t kNotStartedByTheEngine = 127;
  // Another process wrote it: the compiler must not know the initial values.
  const volatile LoaderConfig& given = config;
  if (given.given == 0) system_call(SYS_exit_group, kNotStartedByTheEngine);
  const char* text = config.text;
  asm volatile("" : "+r"(text) : : "memory");
  const char* interpreter_path = text + given.interpreter;
  Stack stack = read_stack(sp);
  Image program = map_image(text + given.program, place_of_pie());
  Image interpreter;
  if (*interpreter_path != '\0') interpreter = map_image(interpreter_path, 0);
  fix_auxv(stack, program, interpreter);
  if (program.executable_stack) {
    constexpr uint64_t kAll = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN;
    if (failed(system_call(SYS_mprotect, page_floor(stack.at), kPageSize, kAll))) die();
  }
  if (given.comm[0] != '\0') system_call(SYS_prctl, PR_SET_NAME, address_of(config.comm));
  describe(stack, program);
  leave(*interpreter_path != '\0' ? interpreter.entry : program.entry, stack.at);
}

}  // namespace viewsh::loader

#include "tracee/call_site.h"

#include <sys/ptrace.h>

#include <algorithm>
#include <cstring>

namespace viewsh {

namespace {

// fstat:      mov %rsi,%rdx; test %edi,%edi; js failed; mov $AT_EMPTY_PATH,%ecx; lea "",%rsi; jmp
// fstatat fstatat:    mov %ecx,%r10d; mov $__NR_newfstatat,%eax; syscall
constexpr std::array<uint8_t, 10> kFstatat = {0x41, 0x89, 0xca, 0xb8, 0x06,
                                              0x01, 0x00, 0x00, 0x0f, 0x05};
constexpr std::array<uint8_t, 6> kFstat = {0x48, 0x89, 0xf2, 0x85, 0xff, 0x78};
constexpr std::array<uint8_t, 8> kLoads = {0xb9, 0x00, 0x10, 0x00, 0x00, 0x48, 0x8d, 0x35};
constexpr size_t kLoadsAt = kFstat.size() + 1;            // behind the distance of the jump
constexpr size_t kPathAt = kLoadsAt + kLoads.size() - 3;  // of the instruction to change
constexpr size_t kPathSize = 7;
constexpr size_t kJumpAt = kPathAt + kPathSize;
constexpr size_t kReach = 160;  ///< how far in front of the system call fstat may begin

template <size_t n>
bool is_at(const uint8_t* code, const std::array<uint8_t, n>& wanted) {
  return std::equal(wanted.begin(), wanted.end(), code);
}

int32_t distance(const uint8_t* code) {
  int32_t value = 0;
  memcpy(&value, code, sizeof value);
  return value;
}

/// Where the jump at `code`, whose address is `at`, leads; 0: it is none.
uint64_t jump_target(const uint8_t* code, uint64_t at) {
  if (code[0] == 0xe9) return at + 5 + static_cast<uint64_t>(int64_t{distance(code + 1)});
  if (code[0] == 0xeb) return at + 2 + static_cast<uint64_t>(int64_t{static_cast<int8_t>(code[1])});
  return 0;
}

}  // namespace

std::optional<CallSite> find_fstat_site(const TraceeMemory& memory, const Registers& regs) {
  std::array<uint8_t, kReach> code{};
  const uint64_t begin = regs.rip - kReach;
  if (!memory.read(begin, code.data(), code.size()).ok()) return {};
  if (!is_at(&code[kReach - kFstatat.size()], kFstatat)) return {};
  const uint64_t fstatat = regs.rip - kFstatat.size();
  const uint64_t syscall = regs.rip - 2;
  for (size_t i = 0; i + kJumpAt + 5 <= kReach - kFstatat.size(); ++i) {
    const uint8_t* here = &code[i];
    if (!is_at(here, kFstat) || !is_at(here + kLoadsAt, kLoads)) continue;
    const uint64_t behind = begin + i + kJumpAt;
    const uint64_t path = behind + static_cast<uint64_t>(int64_t{distance(here + kPathAt + 3)});
    const uint64_t jump = syscall - behind;
    // The path that this call has is the one that is loaded here.
    if (path != regs.rsi || jump_target(here + kJumpAt, behind) != fstatat || jump > 127) continue;
    CallSite site;
    site.at = begin + i + kPathAt;
    site.returns = regs.rip;
    memcpy(site.before.data(), here + kPathAt, site.before.size());
    return site;
  }
  return {};
}

CodeWord direct_fstat(const CallSite& site) {
  // mov $__NR_fstat,%eax; jmp syscall. %rsi is still the buffer; what else is loaded doesn't
  // matter.
  const uint64_t jump = site.returns - 2 - (site.at + kPathSize);
  return {0xb8, 0x05, 0, 0, 0, 0xeb, static_cast<uint8_t>(jump), site.before[kPathSize]};
}

std::optional<CodeWord> jump_from(const CallSite& site, uint64_t target) {
  const auto jump = static_cast<int64_t>(target - (site.at + 5));
  if (jump != static_cast<int32_t>(jump)) return {};
  CodeWord out{0xe9, 0, 0, 0, 0, 0x66, 0x90, site.before[kPathSize]};  // and a `nop` of two bytes
  const auto near = static_cast<int32_t>(jump);
  memcpy(&out[1], &near, sizeof near);
  return out;
}

std::array<uint8_t, FstatCode::kSize> FstatCode::make(const CallSite& site, uint64_t at,
                                                      uint64_t marks) {
  constexpr size_t kMagicAt = 7;
  constexpr size_t kMarksDistanceAt = 34;
  constexpr size_t kReturnAt = 50;
  std::array<uint8_t, kSize> code = {
      0xb8, 0x05, 0,    0,    0,                 //     mov $__NR_fstat,%eax
      0x48, 0xba, 0,    0,    0, 0, 0, 0, 0, 0,  //     mov $kNativeFstat,%rdx
      0x0f, 0x05,                                //     syscall
      0x85, 0xc0,                                //     test %eax,%eax
      0x75, 0x1c,                                //     jne 1f
      0x48, 0x8b, 0x56, 0x08,                    //     mov 8(%rsi),%rdx: st_ino
      0x81, 0xe2, 0xff, 0x7f, 0, 0,              //     and $kMarks-1,%edx
      0x0f, 0xa3, 0x15, 0,    0, 0, 0,           //     bt %edx,marks(%rip)
      0x73, 0x09,                                //     jnc 1f
      0x31, 0xd2,                                //     xor %edx,%edx
      0xb8, 0x05, 0,    0,    0,                 //     mov $__NR_fstat,%eax: a NumberSite
      0x0f, 0x05,                                //     syscall
      0xe9, 0,    0,    0,    0};                // 1:  jmp behind the program's own
  memcpy(&code[kMagicAt], &kNativeFstat, sizeof kNativeFstat);
  const auto to_marks = static_cast<int32_t>(marks - (at + kMarksDistanceAt + 4));
  memcpy(&code[kMarksDistanceAt], &to_marks, sizeof to_marks);
  const auto back = static_cast<int32_t>(site.returns - (at + kReturnAt + 4));
  memcpy(&code[kReturnAt], &back, sizeof back);
  return code;
}

bool write_code(pid_t tid, uint64_t at, const CodeWord& bytes) {
  void* word = nullptr;
  memcpy(&word, bytes.data(), sizeof word);
  return ptrace(PTRACE_POKETEXT, tid, at, word) == 0;
}

}  // namespace viewsh

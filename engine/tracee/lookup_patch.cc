#include "tracee/lookup_patch.h"

#include <cstring>

extern "C" {
extern const uint8_t __start_viewsh_lookup[];
extern const uint8_t __stop_viewsh_lookup[];
extern const uint8_t viewsh_lookup_enter[];
extern const uint8_t viewsh_lookup_copy[];
extern const uint8_t viewsh_lookup_stop[];
extern const uint8_t viewsh_lookup_fetch_at[];
extern const uint8_t viewsh_lookup_fetch_failed[];
}

namespace viewsh {

namespace {

constexpr size_t kMovSize = 5;

/// The distance of a jump or call whose next instruction is at `behind`.
bool distance_to(uint64_t target, uint64_t behind, uint8_t* to) {
  const auto wide = static_cast<int64_t>(target - behind);
  const auto near = static_cast<int32_t>(wide);
  memcpy(to, &near, sizeof near);
  return wide == near;
}

size_t offset_of(const uint8_t* label) {
  return static_cast<size_t>(label - __start_viewsh_lookup);
}

}  // namespace

std::span<const uint8_t> LookupCode::text() {
  return {__start_viewsh_lookup, static_cast<size_t>(__stop_viewsh_lookup - __start_viewsh_lookup)};
}

size_t LookupCode::entry() { return offset_of(viewsh_lookup_enter); }
size_t LookupCode::copy() { return offset_of(viewsh_lookup_copy); }
size_t LookupCode::stop() { return offset_of(viewsh_lookup_stop); }
size_t LookupCode::fetch() { return offset_of(viewsh_lookup_fetch_at); }
size_t LookupCode::unread() { return offset_of(viewsh_lookup_fetch_failed); }

std::optional<NumberSite> find_number(const TraceeMemory& memory, const Registers& regs) {
  // What glibc has between the two in open(2) for itself: mov %rdi,%rsi; mov $AT_FDCWD,%edi.
  constexpr std::array<uint8_t, 8> kBetween = {0x48, 0x89, 0xfe, 0xbf, 0x9c, 0xff, 0xff, 0xff};
  constexpr size_t kReach = kMovSize + kBetween.size() + 2;
  std::array<uint8_t, kReach + 1> code{};
  if (!memory.read(regs.rip - kReach, code.data(), code.size()).ok()) return {};
  const auto nr = static_cast<uint32_t>(regs.orig_rax);
  uint8_t mov[kMovSize] = {0xb8};
  memcpy(mov + 1, &nr, sizeof nr);
  const uint8_t* syscall = &code[kReach - 2];
  if (syscall[0] != 0x0f || syscall[1] != 0x05) return {};
  NumberSite out;
  const uint8_t* at = syscall - kMovSize;
  if (memcmp(at, mov, kMovSize) != 0) {
    at -= kBetween.size();
    if (memcmp(at, mov, kMovSize) != 0 ||
        memcmp(at + kMovSize, kBetween.data(), kBetween.size()) != 0) {
      return {};
    }
    out.between.assign(kBetween.begin(), kBetween.end());
  }
  out.site.at = regs.rip - kReach + static_cast<size_t>(at - code.data());
  out.site.returns = regs.rip;
  memcpy(out.site.before.data(), at, out.site.before.size());
  return out;
}

std::array<uint8_t, FstatCode::kSize> make_lookup_call(const NumberSite& number, uint32_t nr,
                                                       uint64_t at, uint64_t entry) {
  constexpr uint8_t kBelowRedZone[] = {0x48, 0x8d, 0x64, 0x24, 0x80};   // lea -128(%rsp),%rsp
  constexpr uint8_t kBack[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};  // lea 128(%rsp),%rsp
  std::array<uint8_t, FstatCode::kSize> code{};
  size_t size = 0;
  const auto put = [&](std::span<const uint8_t> bytes) {
    memcpy(&code[size], bytes.data(), bytes.size());
    size += bytes.size();
  };
  // The entry is in the same mapping, and the site within reach, or it couldn't lead here.
  const auto lead = [&](uint8_t how, uint64_t target) {
    code[size] = how;
    (void)distance_to(target, at + size + 5, &code[size + 1]);
    size += 5;
  };
  code[size] = 0xb8;  // mov $nr,%eax
  memcpy(&code[size + 1], &nr, sizeof nr);
  size += kMovSize;
  put(number.between);
  put(kBelowRedZone);
  lead(0xe8, entry);
  put(kBack);
  lead(0xe9, number.site.returns);
  return code;
}

std::optional<CodeWord> lookup_jump(const CallSite& site, uint64_t target) {
  CodeWord out = site.before;
  out[0] = 0xe9;
  if (!distance_to(target, site.at + kMovSize, &out[1])) return {};
  return out;
}

}  // namespace viewsh

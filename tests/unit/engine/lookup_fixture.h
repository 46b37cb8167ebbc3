#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <string>

#include "own_memory.h"
#include "syscalls/table.h"
#include "temp_tree.h"
#include "tracee/lookup_patch.h"
#include "tracee/lookup_table.h"

namespace viewsh {

/// LookupCode in this process, and a system call that leads there. `call` makes it in a child that
/// gets ENOSYS wherever the engine would stop it.
class LookupCodeTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kCwd = 0x1234;

  void SetUp() override {
    at_ = static_cast<uint8_t*>(mmap(nullptr, kWhole, PROT_READ | PROT_WRITE | PROT_EXEC,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(at_, MAP_FAILED);
    const auto text = LookupCode::text();
    ASSERT_LE(text.size(), LookupCode::kTextSize);
    ASSERT_LT(LookupCode::entry(), LookupCode::kPage);
    memcpy(at_, text.data(), text.size());
    ASSERT_TRUE(shared_.make(tree_.host("lookups")).ok());
    const int fd = open(tree_.host("lookups").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_NE(mmap(at_ + LookupCode::kTableAt, kLookupTableSize, PROT_READ, MAP_SHARED | MAP_FIXED,
                   fd, 0),
              MAP_FAILED);
    close(fd);
    auto* data = reinterpret_cast<LookupData*>(at_ + LookupCode::kDataAt);
    data->enabled = 1;
    data->native = 1;
    data->cwd = 0;
    tree_.file("d/f", "content");
    tree_.dir("d/sub");
    ASSERT_EQ(symlink("target", tree_.host("d/long").c_str()), 0);
    ASSERT_EQ(symlink("f", tree_.host("d/link").c_str()), 0);
    dir_ = tree_.host("d").substr(1);
    shared_.add(hash_of(dir_), hash_of(dir_));
  }
  void TearDown() override { munmap(at_, kWhole); }

  LookupData* data() { return reinterpret_cast<LookupData*>(at_ + LookupCode::kDataAt); }
  std::string name(const std::string& below) { return tree_.host("d/" + below); }
  static long of(const void* pointer) { return reinterpret_cast<long>(pointer); }
  static long of(const std::string& text) { return of(text.c_str()); }

  using SystemCall = long (*)(long, long, long, long, long, long);

  /// Null: the code wasn't found.
  SystemCall changed_call(long nr) {
    // mov %rcx,%r10; mov $nr,%eax; syscall; ret
    uint8_t* code = at_ + LookupCode::kSize;
    const uint8_t program[] = {0x49, 0x89, 0xca, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3, 0x90};
    memcpy(code, program, sizeof program);
    memcpy(code + 4, &nr, 4);
    Registers regs{};
    regs.orig_rax = static_cast<unsigned long long>(nr);
    regs.rip = reinterpret_cast<uint64_t>(code + 10);
    const auto number = find_number(OwnMemory(), regs);
    if (!number) return nullptr;
    uint8_t* stub = code + 64;
    const auto bytes =
        make_lookup_call(*number, static_cast<uint32_t>(nr), reinterpret_cast<uint64_t>(stub),
                         reinterpret_cast<uint64_t>(at_) + LookupCode::entry());
    memcpy(stub, bytes.data(), bytes.size());
    const auto jump = lookup_jump(number->site, reinterpret_cast<uint64_t>(stub));
    if (!jump) return nullptr;
    memcpy(reinterpret_cast<void*>(number->site.at), jump->data(), jump->size());
    return reinterpret_cast<SystemCall>(code);
  }

  long call(long nr, long a0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0) {
    const auto run = changed_call(nr);
    if (run == nullptr) return LONG_MIN;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return LONG_MIN;
    const pid_t child = fork();
    if (child == 0) {
      if (!trap()) _exit(1);
      const long result = run(a0, a1, a2, a3, a4, 6);
      _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(ends[1]);
    long result = LONG_MIN;
    const bool told = read(ends[0], &result, sizeof result) == sizeof result;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return told && status == 0 ? result : LONG_MIN;
  }

  /// What the engine would stop fails from now on.
  bool trap() const {
    const unsigned traps =
        static_cast<unsigned>(Trap::kPaths) | static_cast<unsigned>(Trap::kObjects);
    return install_filter(compile_filter(filter_plan(traps, native_lookups_))).ok();
  }

  bool native_lookups_ = true;
  static constexpr size_t kWhole = LookupCode::kSize + LookupCode::kPage;
  viewsh::testing::TempTree tree_;
  SharedLookups shared_;
  std::string dir_;
  uint8_t* at_ = nullptr;
  struct stat st_ {};
};

}  // namespace viewsh

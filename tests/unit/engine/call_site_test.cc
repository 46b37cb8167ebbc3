#include "tracee/call_site.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "own_memory.h"

namespace viewsh {
namespace {

/// glibc 2.36's fstat and fstatat with 48 bytes between them, and an empty text, as they lie in
/// memory.
struct CallSiteTest : testing::Test {
  CallSiteTest() {
    page_ = static_cast<uint8_t*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(page_, 0x90, kSize);
    put(kFstat, {0x48, 0x89, 0xf2, 0x85, 0xff, 0x78, 0x19, 0xb9, 0x00, 0x10, 0x00, 0x00});
    put(kFstat + 12, {0x48, 0x8d, 0x35});
    put_distance(kFstat + 15, kEmpty - (kFstat + 19));
    put(kFstat + 19, {0xe9});
    put_distance(kFstat + 20, kFstatat - (kFstat + 24));
    put(kFstat + 0x20, {0xb8, 0xff, 0xff, 0xff, 0xff, 0xc3});
    put(kFstatat, {0x41, 0x89, 0xca, 0xb8, 0x06, 0x01, 0x00, 0x00, 0x0f, 0x05, 0xc3});
    page_[kEmpty] = 0;
    regs_.rip = address(kFstatat) + 10;
    regs_.rsi = address(kEmpty);
  }
  ~CallSiteTest() override { munmap(page_, kSize); }
  CallSiteTest(const CallSiteTest&) = delete;
  CallSiteTest& operator=(const CallSiteTest&) = delete;

  void put(size_t at, const std::vector<uint8_t>& bytes) {
    memcpy(page_ + at, bytes.data(), bytes.size());
  }
  void put_distance(size_t at, size_t distance) {
    auto value = static_cast<int32_t>(distance);
    memcpy(page_ + at, &value, sizeof value);
  }
  uint64_t address(size_t at) const { return reinterpret_cast<uint64_t>(page_ + at); }
  std::optional<CallSite> find() { return find_fstat_site(OwnMemory(), regs_); }
  /// What the code at `kFstat` returns.
  int run(int fd, struct stat* out) {
    return reinterpret_cast<int (*)(int, struct stat*)>(address(kFstat))(fd, out);
  }
  void expect_fstat() {
    struct stat expected {};
    struct stat got {};
    ASSERT_EQ(fstat(fd_, &expected), 0);
    EXPECT_EQ(run(fd_, &got), 0);
    EXPECT_EQ(memcmp(&expected, &got, sizeof got), 0);
    EXPECT_EQ(run(12345, &got), -EBADF);
    EXPECT_EQ(run(-1, &got), -1);
  }

  static constexpr size_t kSize = 4 * 4096;
  static constexpr size_t kFstat = 64;
  static constexpr size_t kFstatat = 64 + 0x60;
  static constexpr size_t kEmpty = 1024;
  static constexpr size_t kCode = 2048;
  static constexpr size_t kMarks = 8192;
  uint8_t* page_ = nullptr;
  Registers regs_{};
  int fd_ = 0;
};

TEST_F(CallSiteTest, GlibcsFstatIsFound) {
  const auto site = find();
  ASSERT_TRUE(site);
  EXPECT_EQ(site->at, address(kFstat + 12));
  EXPECT_EQ(site->returns, regs_.rip);
  EXPECT_EQ(site->before[0], 0x48);
}

TEST_F(CallSiteTest, AnotherPathOrOtherCodeIsNot) {
  regs_.rsi = address(kEmpty + 1);
  EXPECT_FALSE(find());
  regs_.rsi = address(kEmpty);
  for (size_t at : {kFstat, kFstat + 5, kFstat + 8, kFstat + 13, kFstat + 19, kFstat + 20, kFstatat,
                    kFstatat + 4, kFstatat + 8}) {
    page_[at] ^= 1;
    EXPECT_FALSE(find()) << at;
    page_[at] ^= 1;
  }
  EXPECT_TRUE(find());
}

TEST_F(CallSiteTest, ADirectCallDoesTheSame) {
  const auto site = find();
  ASSERT_TRUE(site);
  const CodeWord word = direct_fstat(*site);
  memcpy(page_ + kFstat + 12, word.data(), word.size());
  EXPECT_EQ(page_[kFstat + 19], 0xe9) << "the next instruction stays";
  expect_fstat();
}

TEST_F(CallSiteTest, OurCodeDoesTheSameMarkedOrNot) {
  const auto site = find();
  ASSERT_TRUE(site);
  const auto word = jump_from(*site, address(kCode));
  ASSERT_TRUE(word);
  memcpy(page_ + kFstat + 12, word->data(), word->size());
  const auto code = FstatCode::make(*site, address(kCode), address(kMarks));
  memcpy(page_ + kCode, code.data(), code.size());
  memset(page_ + kMarks, 0, FstatCode::kMarks / 8);
  expect_fstat();
  memset(page_ + kMarks, 0xff, FstatCode::kMarks / 8);
  expect_fstat();
}

/// The second call, which stops, is made for marked inodes alone: here it would be another one.
TEST_F(CallSiteTest, OnlyMarkedInodesAreAskedForAgain) {
  const auto site = find();
  ASSERT_TRUE(site);
  const auto word = jump_from(*site, address(kCode));
  memcpy(page_ + kFstat + 12, word->data(), word->size());
  auto code = FstatCode::make(*site, address(kCode), address(kMarks));
  code[43] = 39;  // getpid
  memcpy(page_ + kCode, code.data(), code.size());
  memset(page_ + kMarks, 0, FstatCode::kMarks / 8);
  struct stat now {};
  ASSERT_EQ(fstat(fd_, &now), 0);
  EXPECT_EQ(run(fd_, &now), 0);
  const size_t bit = now.st_ino % FstatCode::kMarks;
  page_[kMarks + bit / 8] = static_cast<uint8_t>(1 << (bit % 8));
  EXPECT_EQ(run(fd_, &now), getpid());
  page_[kMarks + bit / 8] = static_cast<uint8_t>(~(1 << (bit % 8)));
  EXPECT_EQ(run(fd_, &now), 0);
}

TEST_F(CallSiteTest, AJumpHasToReach) {
  const auto site = find();
  ASSERT_TRUE(site);
  EXPECT_FALSE(jump_from(*site, site->at + (uint64_t{1} << 31) + 64));
  EXPECT_TRUE(jump_from(*site, site->at + (uint64_t{1} << 30)));
  EXPECT_TRUE(jump_from(*site, site->at - (uint64_t{1} << 30)));
  EXPECT_FALSE(jump_from(*site, site->at - (uint64_t{1} << 31) - 64));
}

}  // namespace
}  // namespace viewsh

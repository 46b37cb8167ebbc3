#include <sys/sysmacros.h>

#include <memory>

#include "lookup_fixture.h"

namespace viewsh {
namespace {

Attr file_of(uint64_t size, uint16_t mode = S_IFREG | 0644) {
  Attr attr{};
  attr.stx_mask = STATX_BASIC_STATS;
  attr.stx_mode = mode;
  attr.stx_size = size;
  attr.stx_ino = size + 1;
  attr.stx_nlink = 2;
  attr.stx_dev_minor = 0x12345;
  attr.stx_rdev_major = 0xabc;
  attr.stx_rdev_minor = 0xdef01;
  attr.stx_mtime.tv_sec = 1234;
  attr.stx_mtime.tv_nsec = 56;
  return attr;
}

class AnswerWriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<AnswerTable> table_ = std::make_unique<AnswerTable>();
  uint64_t round_ = 1;
  AnswerWriter writer_{table_.get(), &round_};
  Attr attr_ = file_of(5);
};

TEST_F(AnswerWriterTest, KnowsWhatItWasTold) {
  writer_.add(1, 2, "name", &attr_);
  writer_.add(1, 2, "none", nullptr, ENOENT);
  writer_.add(1, 2, "", &attr_);
  EXPECT_TRUE(writer_.has(1, 2, "name"));
  EXPECT_TRUE(writer_.has(1, 2, "none"));
  EXPECT_TRUE(writer_.has(1, 2, ""));
  for (const char* text : {"nam", "name2", "Name", "x"}) EXPECT_FALSE(writer_.has(1, 2, text));
  EXPECT_FALSE(writer_.has(2, 2, "name"));
  EXPECT_FALSE(writer_.has(1, 3, "name"));
}

TEST_F(AnswerWriterTest, ForgetsAnObjectAndARound) {
  writer_.add(1, 2, "", &attr_);
  writer_.add(1, 2, "name", &attr_);
  writer_.forget(1, 2);
  EXPECT_FALSE(writer_.has(1, 2, ""));
  EXPECT_TRUE(writer_.has(1, 2, "name"));
  ++round_;
  EXPECT_FALSE(writer_.has(1, 2, "name"));
}

TEST_F(AnswerWriterTest, LeavesOutWhatDoesNotFit) {
  const std::string longest(AnswerTable::kTextSize - 1, 'x');
  writer_.add(1, 2, longest, &attr_);
  writer_.add(1, 2, longest + "y", &attr_);
  EXPECT_TRUE(writer_.has(1, 2, longest));
  EXPECT_FALSE(writer_.has(1, 2, longest + "y"));
  reinterpret_cast<char*>(&attr_)[sizeof attr_ - 1] = 1;
  writer_.add(1, 2, "more", &attr_);
  EXPECT_FALSE(writer_.has(1, 2, "more"));
}

TEST_F(AnswerWriterTest, DisplacesOthersWhenItIsFull) {
  const int count = static_cast<int>(AnswerTable::kEntries) * 2;
  int known = 0;
  for (int i = 0; i < count; ++i) writer_.add(1, 2, std::to_string(i), &attr_);
  EXPECT_TRUE(writer_.has(1, 2, std::to_string(count - 1)));
  for (int i = 0; i < count; ++i) known += writer_.has(1, 2, std::to_string(i)) ? 1 : 0;
  EXPECT_GT(known, count / 4);
}

/// The code in a process of a view that lets no look-up through.
class AnswerCodeTest : public LookupCodeTest {
 protected:
  void SetUp() override {
    LookupCodeTest::SetUp();
    native_lookups_ = false;
    data()->native = 0;
    const int fd = open(shared_.path().c_str(), O_RDONLY | O_CLOEXEC);
    void* at = mmap(nullptr, kAnswerTableSize, PROT_READ, MAP_SHARED, fd, kLookupTableSize);
    ASSERT_NE(at, MAP_FAILED);
    close(fd);
    data()->answers = reinterpret_cast<uint64_t>(at);
    fd_ = open(name("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_EQ(fstat(fd_, &dir_st_), 0);
    shared_.mark_inode(dir_st_.st_ino);
  }
  void TearDown() override {
    close(fd_);
    munmap(reinterpret_cast<void*>(data()->answers), kAnswerTableSize);
    LookupCodeTest::TearDown();
  }
  void tell(const char* text, const Attr& attr) {
    shared_.answers().add(dir_st_.st_dev, dir_st_.st_ino, text, &attr);
  }
  void deny(const char* text) {
    shared_.answers().add(dir_st_.st_dev, dir_st_.st_ino, text, nullptr, ENOENT);
  }
  long lstat_at(const char* text) {
    return call(SYS_newfstatat, fd_, of(text), of(&st_), AT_SYMLINK_NOFOLLOW);
  }

  int fd_ = -1;
  struct stat dir_st_ {};
};

TEST_F(AnswerCodeTest, GivesWhatWasTold) {
  tell("a", file_of(7));
  tell("b/c", file_of(8));
  deny("none");
  EXPECT_EQ(lstat_at("a"), 0);
  EXPECT_EQ(lstat_at("b/c"), 0);
  EXPECT_EQ(lstat_at("none"), -ENOENT);
  EXPECT_EQ(call(SYS_newfstatat, fd_, of("a"), of(&st_), 0), 0);
  EXPECT_EQ(call(SYS_statx, fd_, of("a"), 0, STATX_ALL, of(&st_)), 0);
  EXPECT_EQ(call(SYS_faccessat, fd_, of("a"), F_OK), 0);
  EXPECT_EQ(call(SYS_faccessat, fd_, of("none"), R_OK), -ENOENT);
  EXPECT_EQ(call(SYS_openat, fd_, of("none"), O_RDONLY), -ENOENT);
}

TEST_F(AnswerCodeTest, StopsForAllElse) {
  tell("a", file_of(7));
  tell("link", file_of(7, S_IFLNK | 0777));
  EXPECT_EQ(lstat_at("link"), 0);
  EXPECT_EQ(call(SYS_newfstatat, fd_, of("link"), of(&st_), 0), -ENOSYS);
  for (const char* text : {"", "b", "a/", "./a", "/a", "a/b", "..", "aa"}) {
    EXPECT_EQ(lstat_at(text), -ENOSYS) << text;
  }
  EXPECT_EQ(lstat_at(std::string(4000, 'a').c_str()), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, 999, of("a"), of(&st_), 0), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, fd_, of("a"), of(&st_), 0x4000), -ENOSYS);
  EXPECT_EQ(call(SYS_statx, fd_, of("a"), 0, STATX__RESERVED, of(&st_)), -ENOSYS);
  EXPECT_EQ(call(SYS_statx, fd_, of("a"), AT_STATX_SYNC_TYPE, STATX_ALL, of(&st_)), -ENOSYS);
  EXPECT_EQ(call(SYS_faccessat, fd_, of("a"), R_OK), -ENOSYS);
  EXPECT_EQ(call(SYS_faccessat, fd_, of("a"), 8), -ENOSYS);
  EXPECT_EQ(call(SYS_openat, fd_, of("a"), O_RDONLY), -ENOSYS);
  deny("none");
  EXPECT_EQ(call(SYS_openat, fd_, of("none"), O_RDONLY | O_CREAT), -ENOSYS);
  EXPECT_EQ(call(SYS_readlinkat, fd_, of("link"), of(&st_), 10), -ENOSYS);
  data()->enabled = 0;
  EXPECT_EQ(lstat_at("a"), -ENOSYS);
}

TEST_F(AnswerCodeTest, ForgetsWithTheTable) {
  tell("a", file_of(7));
  EXPECT_EQ(lstat_at("a"), 0);
  shared_.forget_directories();
  EXPECT_EQ(lstat_at("a"), -ENOSYS);
  tell("a", file_of(9));
  EXPECT_EQ(lstat_at("a"), 0);
}

TEST_F(AnswerCodeTest, WorkingDirectory) {
  tell("a", file_of(7));
  EXPECT_EQ(call(SYS_lstat, of("a"), of(&st_)), -ENOSYS);
  data()->cwd_dev = dir_st_.st_dev;
  data()->cwd_ino = dir_st_.st_ino;
  EXPECT_EQ(call(SYS_lstat, of("a"), of(&st_)), 0);
  EXPECT_EQ(call(SYS_stat, of("a"), of(&st_)), 0);
  EXPECT_EQ(call(SYS_access, of("a"), F_OK), 0);
  EXPECT_EQ(call(SYS_access, of("b"), F_OK), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(""), of(&st_), AT_EMPTY_PATH), -ENOSYS);
}

TEST_F(AnswerCodeTest, OpenObjects) {
  EXPECT_EQ(call(SYS_fstat, fd_, of(&st_)), -ENOSYS);
  tell("", file_of(7));
  EXPECT_EQ(call(SYS_fstat, fd_, of(&st_)), 0);
  EXPECT_EQ(call(SYS_newfstatat, fd_, of(""), of(&st_), AT_EMPTY_PATH), 0);
  EXPECT_EQ(call(SYS_newfstatat, fd_, of("a"), of(&st_), AT_EMPTY_PATH), -ENOSYS);
  EXPECT_EQ(call(SYS_fstat, 999, of(&st_)), -EBADF);
  shared_.answers().forget(dir_st_.st_dev, dir_st_.st_ino);
  EXPECT_EQ(call(SYS_fstat, fd_, of(&st_)), -ENOSYS);
  // Of which the view has nothing else to say.
  const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(call(SYS_fstat, other, of(&st_)), 0);
  close(other);
}

/// In a child, which has the filter: what it makes of the answer is its exit status.
template <typename Work>
int in_child(Work&& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(AnswerCodeTest, AttributesAreThoseOfAStop) {
  tell("a", file_of(7));
  const auto run = changed_call(SYS_newfstatat);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(in_child([&] {
              struct stat st {};
              if (!trap() || run(fd_, of("a"), of(&st), 0, 0, 0) != 0) return 1;
              const bool same = st.st_size == 7 && st.st_ino == 8 && st.st_nlink == 2 &&
                                st.st_mode == (S_IFREG | 0644) && st.st_mtim.tv_sec == 1234 &&
                                st.st_mtim.tv_nsec == 56 && st.st_dev == makedev(0, 0x12345) &&
                                st.st_rdev == makedev(0xabc, 0xdef01);
              return same ? 0 : 2;
            }),
            0);
}

/// Entries change while they are read: never is one part of another.
TEST_F(AnswerCodeTest, IsReadWhileItIsWritten) {
  const char* const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
  const auto run = changed_call(SYS_newfstatat);
  ASSERT_NE(run, nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (!trap()) _exit(1);
    struct stat st {};
    for (int i = 0; i < 400000; ++i) {
      const char* text = names[i % 12];
      if (run(fd_, of(text), of(&st), 0, 0, 0) != 0) continue;
      const auto part = static_cast<long>(st.st_ino - 1);
      if (part != st.st_size || st.st_size % 12 != i % 12) _exit(2);
    }
    _exit(0);
  }
  int status = -1;
  for (uint64_t i = 0; waitpid(child, &status, WNOHANG) == 0; ++i) {
    tell(names[i % 12], file_of(i));
    if (i % 1000 == 0) shared_.forget_directories();
    if (i % 7 == 0) shared_.answers().forget(dir_st_.st_dev, dir_st_.st_ino);
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace viewsh

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "lookup_fixture.h"

namespace viewsh {
namespace {

HashedName hashed(const char* text, uint64_t base = kNoPath) {
  HashedName out;
  EXPECT_TRUE(hash_path(text, base, &out)) << text;
  return out;
}

TEST(LookupPath, IsHashedComponentByComponent) {
  EXPECT_EQ(hashed("/usr/lib/libc.so").name, hash_of("usr/lib/libc.so"));
  EXPECT_EQ(hashed("/usr/lib/libc.so").dir, hash_of("usr/lib"));
  EXPECT_EQ(hashed("/usr").dir, hash_of(""));
  EXPECT_EQ(hashed("lib/libc.so", hash_of("usr")).name, hash_of("usr/lib/libc.so"));
  EXPECT_EQ(hashed("//usr///lib/./libc.so").name, hash_of("usr/lib/libc.so"));
  EXPECT_EQ(hashed("./lib", hash_of("usr")).name, hash_of("usr/lib"));
  EXPECT_EQ(hashed("/usr/...").name, hash_of("usr/..."));
  EXPECT_EQ(hashed("/usr/.x").name, hash_of("usr/.x"));
  EXPECT_NE(hash_of("a/b"), hash_of("ab"));
}

TEST(LookupPath, ADirectoryItself) {
  for (const char* text : {"/usr/", "/usr/.", "/usr//", "//usr/./", "/./usr/./."}) {
    EXPECT_EQ(hashed(text).name, hash_of("usr")) << text;
    EXPECT_EQ(hashed(text).dir, hash_of("usr")) << text;
    EXPECT_TRUE(hashed(text).whole) << text;
  }
  EXPECT_EQ(hashed("/").dir, hash_of(""));
  EXPECT_EQ(hashed(".", hash_of("usr")).dir, hash_of("usr"));
  EXPECT_FALSE(hashed("/usr").whole);
}

TEST(LookupPath, WhatIsNoNameIsRefused) {
  HashedName out;
  for (const char* text : {"", "..", "/usr/..", "/usr/../lib", "a/../b", "../a", "/.."}) {
    EXPECT_FALSE(hash_path(text, kNoPath, &out)) << text;
  }
  const std::string longest = "/" + std::string(4000, 'x');
  EXPECT_TRUE(hash_path(longest.c_str(), kNoPath, &out));
  EXPECT_FALSE(hash_path((longest + longest).c_str(), kNoPath, &out));
}

TEST_F(LookupCodeTest, AnswersForAKnownDirectory) {
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("f")), of(&st_), 0), 0);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("none")), of(&st_), 0), -ENOENT);
  EXPECT_EQ(call(SYS_stat, of(name("f")), of(&st_)), 0);
  EXPECT_EQ(call(SYS_lstat, of(name("link")), of(&st_)), 0);
  struct statx stx;
  EXPECT_EQ(call(SYS_statx, AT_FDCWD, of(name("f")), 0, STATX_SIZE, of(&stx)), 0);
  EXPECT_GE(call(SYS_openat, AT_FDCWD, of(name("f")), O_RDONLY), 0);
  EXPECT_GE(call(SYS_open, of(name("sub")), O_RDONLY | O_DIRECTORY), 0);
  EXPECT_GE(call(SYS_open, of(name("")), O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(call(SYS_lstat, of(name(".")), of(&st_)), 0);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, of(name("none")), O_RDONLY), -ENOENT);
  EXPECT_EQ(call(SYS_access, of(name("f")), R_OK), 0);
  EXPECT_EQ(call(SYS_faccessat, AT_FDCWD, of(name("none")), F_OK), -ENOENT);
  char text[16];
  EXPECT_EQ(call(SYS_readlink, of(name("long")), of(text), sizeof text), 6);
  EXPECT_EQ(call(SYS_readlinkat, AT_FDCWD, of(name("f")), of(text), sizeof text), -EINVAL);
}

TEST_F(LookupCodeTest, ChangesNoRegisterThatASystemCallKeeps) {
  // The wrapper's sixth argument is r9, which carries the sign for the filter meanwhile.
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("f")), of(&st_), 0, 5), 0);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(tree_.host("lookups")), of(&st_), 0, 5), -ENOSYS);
}

TEST_F(LookupCodeTest, StopsWhereTheViewHasMoreToSay) {
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(tree_.host("lookups")), of(&st_), 0), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("link")), of(&st_), 0), -ENOSYS);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, of(name("link")), O_RDONLY), -ENOSYS);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, of(name("f")), O_RDWR), -ENOSYS);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, of(name("new")), O_RDONLY | O_CREAT, 0600), -ENOSYS);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, of(name("f")), O_PATH), -ENOSYS);
  EXPECT_EQ(call(SYS_access, of(name("f")), W_OK), -ENOSYS);
  shared_.mark_name(dir_ + "/f");
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("f")), of(&st_), 0), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("sub")), of(&st_), 0), 0);
  ASSERT_EQ(stat(name("sub").c_str(), &st_), 0);
  shared_.mark_inode(st_.st_ino);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("sub")), of(&st_), 0), -ENOSYS);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("none")), of(&st_), 0), -ENOENT);
  shared_.forget_directories();
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("none")), of(&st_), 0), -ENOSYS);
  shared_.add(hash_of(dir_), hash_of(dir_));
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("none")), of(&st_), 0), -ENOENT);
  data()->enabled = 0;
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(name("none")), of(&st_), 0), -ENOSYS);
}

TEST_F(LookupCodeTest, ReachesDirectoriesBelowAKnownOne) {
  tree_.file("d/sub/inner/f", "content");
  ASSERT_EQ(symlink("sub", tree_.host("d/to-sub").c_str()), 0);
  const auto stat_of = [&](const std::string& below) {
    return call(SYS_newfstatat, AT_FDCWD, of(name(below)), of(&st_), 0);
  };
  EXPECT_EQ(stat_of("sub/"), 0);
  EXPECT_EQ(stat_of("sub/x"), -ENOENT);
  EXPECT_EQ(stat_of("sub/inner/f"), 0);
  EXPECT_EQ(stat_of(".//sub/././inner//f"), 0);
  EXPECT_EQ(stat_of("to-sub/inner/f"), -ENOSYS);
  EXPECT_EQ(stat_of("none/f"), -ENOENT);
  EXPECT_EQ(stat_of("sub/none/../f"), -ENOENT);
  EXPECT_EQ(stat_of("f/"), -ENOSYS);
  EXPECT_EQ(stat_of("f/x"), -ENOSYS);
  std::string roundabout;
  for (int i = 0; i < 200; ++i) roundabout += "./";
  EXPECT_EQ(stat_of(roundabout + "f"), 0);
  EXPECT_EQ(stat_of(roundabout + "sub/f"), -ENOSYS);  // longer than what is looked at
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(tree_.host("other/f")), of(&st_), 0), -ENOSYS);
  shared_.mark_name(dir_ + "/sub/inner");
  EXPECT_EQ(stat_of("sub/inner/f"), -ENOSYS);
  EXPECT_EQ(stat_of("sub/x"), -ENOENT);
  shared_.mark_name(dir_ + "/sub");
  EXPECT_EQ(stat_of("sub/x"), -ENOSYS);
}

TEST_F(LookupCodeTest, GoesUpWhereNoLinkLedDown) {
  tree_.file("d/sub/inner/f", "content");
  ASSERT_EQ(symlink("sub/inner", tree_.host("d/to-inner").c_str()), 0);
  const auto stat_of = [&](const std::string& below) {
    return call(SYS_newfstatat, AT_FDCWD, of(name(below)), of(&st_), 0);
  };
  EXPECT_EQ(stat_of("sub/../f"), 0);
  EXPECT_EQ(stat_of("sub/inner/../../sub/./inner/f"), 0);
  EXPECT_EQ(stat_of("sub/inner/.."), 0);
  EXPECT_EQ(stat_of("sub/inner/../none"), -ENOENT);
  EXPECT_EQ(stat_of("to-inner/../f"), -ENOSYS);
  EXPECT_EQ(stat_of("../d/f"), 0);          // found again by its name
  EXPECT_EQ(stat_of("../other"), -ENOSYS);  // nothing is known of what is above
  shared_.mark_name(dir_ + "/sub/inner");
  EXPECT_EQ(stat_of("sub/inner/../../f"), -ENOSYS);
  EXPECT_EQ(stat_of("sub/../f"), 0);
  const std::string old = std::filesystem::current_path();
  ASSERT_EQ(chdir(tree_.host("d/sub").c_str()), 0);
  data()->cwd = hash_of(dir_ + "/sub");
  const std::string above = "../f";
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(above), of(&st_), 0), -ENOSYS);
  ASSERT_EQ(chdir(old.c_str()), 0);
}

TEST_F(LookupCodeTest, AttributesByName) {
  char value[16];
  const std::string user = "user.x";
  ASSERT_EQ(setxattr(name("f").c_str(), "user.x", "12", 2, 0), 0);
  EXPECT_EQ(call(SYS_getxattr, of(name("f")), of(user), of(value), sizeof value), 2);
  EXPECT_EQ(call(SYS_lgetxattr, of(name("link")), of(user), of(value), sizeof value), -ENODATA);
  EXPECT_EQ(call(SYS_getxattr, of(name("link")), of(user), of(value), sizeof value), -ENOSYS);
  EXPECT_EQ(call(SYS_lgetxattr, of(name("sub")), of(user), of(value), sizeof value), -ENODATA);
  EXPECT_EQ(call(SYS_getxattr, of(name("none")), of(user), of(value), sizeof value), -ENOENT);
  EXPECT_GE(call(SYS_llistxattr, of(name("f")), of(value), sizeof value), 7);
  shared_.mark_name(dir_ + "/f");
  EXPECT_EQ(call(SYS_listxattr, of(name("f")), of(value), sizeof value), -ENOSYS);
}

TEST_F(LookupCodeTest, RelativePathsAndDescriptors) {
  const std::string old = std::filesystem::current_path();
  ASSERT_EQ(chdir(tree_.host("d").c_str()), 0);
  const std::string f = "f";
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(f), of(&st_), 0), -ENOSYS);
  data()->cwd = hash_of(dir_);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, of(f), of(&st_), 0), 0);
  ASSERT_EQ(chdir(old.c_str()), 0);
  const int fd = open(tree_.host("d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(fstat(fd, &st_), 0);
  EXPECT_EQ(call(SYS_newfstatat, fd, of(f), of(&st_), AT_SYMLINK_NOFOLLOW), -ENOSYS);
  shared_.add(directory_key(st_.st_dev, st_.st_ino), hash_of(dir_));
  EXPECT_EQ(call(SYS_newfstatat, fd, of(f), of(&st_), AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(call(SYS_getdents64, fd, of(&st_), 20), -ENOSYS);  // too small: the engine's to say
  char names[4096];
  EXPECT_GT(call(SYS_getdents64, fd, of(names), sizeof names), 0);
  shared_.mark_name("another/name");
  EXPECT_EQ(call(SYS_getdents64, fd, of(names), sizeof names), 0);  // its end
  shared_.mark_name(dir_ + "/none");
  EXPECT_EQ(call(SYS_getdents64, fd, of(names), sizeof names), -ENOSYS);
  const std::string empty;
  EXPECT_EQ(call(SYS_newfstatat, fd, of(empty), of(&st_), AT_EMPTY_PATH), 0);
  close(fd);
}

TEST_F(LookupCodeTest, GlibcsOwnOpen) {
  // mov $257,%eax; mov %rdi,%rsi; mov $AT_FDCWD,%edi; syscall; ret
  const uint8_t program[] = {0xb8, 1,    1,    0,    0,    0x48, 0x89, 0xfe,
                             0xbf, 0x9c, 0xff, 0xff, 0xff, 0x0f, 0x05, 0xc3};
  uint8_t* code = at_ + LookupCode::kSize;
  memcpy(code, program, sizeof program);
  Registers regs{};
  regs.orig_rax = SYS_openat;
  regs.rip = reinterpret_cast<uint64_t>(code + sizeof program - 1);
  const auto number = find_number(OwnMemory(), regs);
  ASSERT_TRUE(number);
  EXPECT_EQ(number->site.at, reinterpret_cast<uint64_t>(code));
  const uint64_t stub = reinterpret_cast<uint64_t>(code + 64);
  const auto bytes = make_lookup_call(*number, SYS_openat, stub,
                                      reinterpret_cast<uint64_t>(at_) + LookupCode::entry());
  memcpy(code + 64, bytes.data(), bytes.size());
  memcpy(code, lookup_jump(number->site, stub)->data(), 5);
  auto run = reinterpret_cast<long (*)(const char*, long, long)>(code);
  const long fd = run(name("f").c_str(), 0, O_RDONLY);
  ASSERT_GE(fd, 0);
  close(static_cast<int>(fd));
  EXPECT_EQ(run(name("none").c_str(), 0, O_RDONLY), -ENOENT);
  regs.orig_rax = SYS_stat;
  EXPECT_FALSE(find_number(OwnMemory(), regs));
}

TEST_F(LookupCodeTest, BadPointersAreTheKernelsToRefuse) {
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, 8, of(&st_), 0), -EFAULT);
  EXPECT_EQ(call(SYS_readlink, 8, of(&st_), 4), -EFAULT);
  EXPECT_EQ(call(SYS_openat, AT_FDCWD, 8, O_RDONLY), -EFAULT);
  EXPECT_EQ(call(SYS_newfstatat, AT_FDCWD, 0, of(&st_), AT_EMPTY_PATH), -ENOSYS);
}

}  // namespace
}  // namespace viewsh

// rename, renameat, renameat2: of files, directories and links; atomic, without EXDEV in one tree.

#include <linux/fs.h>

#include <atomic>
#include <thread>

#include "support.h"

namespace viewsh_test {
namespace {

struct Variant {
  const char* name;
  long (*rename)(const char* from, const char* to);
};
long by_rename(const char* from, const char* to) { return sys(SYS_rename, from, to); }
long by_renameat(const char* from, const char* to) {
  Fd here = open_fd(".", O_PATH);
  return sys(SYS_renameat, here.get(), from, here.get(), to);
}
long by_renameat2(const char* from, const char* to) {
  return sys(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

std::string variant_name(const testing::TestParamInfo<Variant>& variant) {
  return variant.param.name;
}

class RenameVariant : public SyscallTest, public testing::WithParamInterface<Variant> {
 protected:
  static long rename(const std::string& from, const std::string& to) {
    return GetParam().rename(from.c_str(), to.c_str());
  }
};

TEST_P(RenameVariant, File) {
  write_file("a", "content");
  EXPECT_EQ(rename("a", "b"), 0);
  EXPECT_EQ(names_in("."), std::vector<std::string>{"b"});
  EXPECT_EQ(read_file("b"), "content");
  write_file("c", "older");
  EXPECT_EQ(rename("b", "c"), 0);
  EXPECT_EQ(read_file("c"), "content");
  EXPECT_EQ(rename("c", "c"), 0);
  EXPECT_EQ(names_in("."), std::vector<std::string>{"c"});
}

TEST_P(RenameVariant, DirectoryWithAllBelow) {
  ASSERT_EQ(::mkdir("d", 0750), 0);
  ASSERT_EQ(::mkdir("d/sub", 0755), 0);
  write_file("d/f", "f");
  write_file("d/sub/g", "g");
  ASSERT_EQ(::symlink("../f", "d/sub/link"), 0);
  ino_t inode = stat_of("d").st_ino;
  EXPECT_EQ(rename("d", "e"), 0);
  EXPECT_FALSE(exists("d"));
  EXPECT_EQ(read_file("e/f"), "f");
  EXPECT_EQ(read_file("e/sub/link"), "f");
  EXPECT_EQ(stat_of("e").st_ino, inode);
  EXPECT_EQ(stat_of("e").st_mode, S_IFDIR | 0750U);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(names_in("d"), std::vector<std::string>{});
  EXPECT_EQ(rename("e/sub", "d/moved"), 0);
  EXPECT_EQ(read_file("d/moved/g"), "g");
  EXPECT_EQ(names_in("e"), std::vector<std::string>{"f"});
}

TEST_P(RenameVariant, DirectoryOverDirectory) {
  ASSERT_EQ(::mkdir("full", 0755), 0);
  write_file("full/f", "");
  ASSERT_EQ(::mkdir("empty", 0755), 0);
  EXPECT_EQ(rename("empty", "full"), -ENOTEMPTY);
  EXPECT_EQ(rename("full", "empty"), 0);
  EXPECT_EQ(names_in("empty"), std::vector<std::string>{"f"});
}

TEST_P(RenameVariant, TypesThatDoNotFit) {
  write_file("f", "");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(rename("f", "d"), -EISDIR);
  EXPECT_EQ(rename("d", "f"), -ENOTDIR);
  EXPECT_EQ(rename("f", "new/"), -ENOTDIR);
  EXPECT_EQ(rename("f/", "new"), -ENOTDIR);
  EXPECT_EQ(rename("d", "d/inside"), -EINVAL);
  EXPECT_EQ(rename("none", "x"), -ENOENT);
  EXPECT_EQ(rename("f", "none/x"), -ENOENT);
  EXPECT_EQ(rename("d/", "e/"), 0);
  EXPECT_TRUE(exists("e"));
  EXPECT_EQ(rename("e/.", "x"), -EBUSY);
  EXPECT_EQ(rename("e/..", "x"), -EBUSY);
  ASSERT_EQ(::mkdir("e/in", 0755), 0);
  EXPECT_EQ(rename("e/in", "e"), -ENOTEMPTY);
}

TEST_P(RenameVariant, LinksAreMovedThemselves) {
  write_file("f", "target");
  ASSERT_EQ(::symlink("f", "link"), 0);
  EXPECT_EQ(rename("link", "moved"), 0);
  EXPECT_EQ(read_link("moved"), "f");
  write_file("over", "old");
  EXPECT_EQ(rename("over", "moved"), 0);
  EXPECT_EQ(read_file("f"), "target");
  EXPECT_EQ(read_file("moved"), "old");
}

TEST_P(RenameVariant, NamesOfOneFile) {
  write_file("a", "content");
  ASSERT_EQ(::link("a", "b"), 0);
  EXPECT_EQ(rename("a", "b"), 0);  // two names of one file: nothing happens
  EXPECT_EQ(names_in("."), (std::vector<std::string>{"a", "b"}));
}

TEST_P(RenameVariant, OpenFilesMoveAlong) {
  write_file("a", "content");
  write_file("b", "replaced");
  Fd moved = open_fd("a", O_RDWR);
  Fd replaced = open_fd("b", O_RDONLY);
  EXPECT_EQ(rename("a", "b"), 0);
  EXPECT_EQ(::write(moved.get(), "C", 1), 1);
  EXPECT_EQ(read_file("b"), "Content");
  std::array<char, 9> buffer = {};
  EXPECT_EQ(::read(replaced.get(), buffer.data(), 8), 8);
  EXPECT_STREQ(buffer.data(), "replaced");
}

INSTANTIATE_TEST_SUITE_P(Rename, RenameVariant,
                         testing::Values(Variant{"rename", by_rename},
                                         Variant{"renameat", by_renameat},
                                         Variant{"renameat2", by_renameat2}),
                         variant_name);

using Rename = SyscallTest;

TEST_F(Rename, NoReplace) {
  write_file("a", "a");
  write_file("b", "b");
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(read_file("b"), "b");
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE), 0);
  EXPECT_EQ(read_file("c"), "a");
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 0x100), -EINVAL);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", RENAME_NOREPLACE | RENAME_EXCHANGE),
            -EINVAL);
}

TEST_F(Rename, Exchange) {
  write_file("a", "a");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/in", "in");
  ASSERT_EQ(sys(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE), 0);
  EXPECT_EQ(read_file("d"), "a");
  EXPECT_EQ(read_file("a/in"), "in");
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE), -ENOENT);
}

TEST_F(Rename, ReplacementIsNeverMissing) {
  write_file("config", "version 0\n");
  std::atomic<bool> done{false};
  std::atomic<int> bad{0};
  std::thread reader([&] {
    while (!done) {
      std::string text = read_file("config");
      if (text.rfind("version ", 0) != 0 || text.back() != '\n') ++bad;
    }
  });
  for (int i = 1; i <= 300; ++i) {
    write_file("config.new", "version " + std::to_string(i) + "\n");
    if (::rename("config.new", "config") != 0) ++bad;
  }
  done = true;
  reader.join();
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(read_file("config"), "version 300\n");
}

TEST_F(Rename, DirectoryBackAndForth) {
  ASSERT_EQ(::mkdir("a", 0755), 0);
  write_file("a/f", "content");
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::rename("a", "b"), 0);
    ASSERT_EQ(read_file("b/f"), "content");
    ASSERT_EQ(::rename("b", "a"), 0);
    ASSERT_EQ(read_file("a/f"), "content");
    ASSERT_EQ(names_in("."), std::vector<std::string>{"a"});
  }
}

TEST_F(Rename, IntoItselfIsToldBeforeTheTypes) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::mkdir("d/sub", 0755), 0);
  write_file("d/f", "");
  write_file("d/sub/f", "");
  EXPECT_EQ(sys(SYS_rename, "d", "d/f"), -EINVAL);
  EXPECT_EQ(sys(SYS_rename, "d", "d/sub"), -EINVAL);
  EXPECT_EQ(sys(SYS_rename, "d", "d/none"), -EINVAL);
  EXPECT_EQ(sys(SYS_rename, "d/f", "d"), -ENOTEMPTY);
  EXPECT_EQ(sys(SYS_rename, "d/sub/none", "d"), -ENOENT);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "d/f", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "d/none", RENAME_EXCHANGE), -ENOENT);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "d/f", RENAME_EXCHANGE), -EINVAL);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/f/", AT_FDCWD, "none", RENAME_EXCHANGE), -ENOENT);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/..", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/f/", AT_FDCWD, "d/sub", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/sub", AT_FDCWD, "d/f/", RENAME_EXCHANGE), -ENOTDIR);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/sub/", RENAME_EXCHANGE), 0);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/sub", RENAME_EXCHANGE), 0);
  EXPECT_EQ(sys(SYS_rename, "none", std::string(256, 'x').c_str()), -ENOENT);
  EXPECT_EQ(sys(SYS_rename, "d/f", std::string(256, 'x').c_str()), -ENAMETOOLONG);
}

TEST_F(Rename, WhatIsThereCountsBeforeWhatIsAllowed) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/a", "a");
  ASSERT_EQ(::link("d/a", "d/same"), 0);
  write_file("b", "b");
  ASSERT_EQ(::chmod("d", 0555), 0);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/a", AT_FDCWD, "b", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "d/a", AT_FDCWD, "none", RENAME_EXCHANGE), -ENOENT);
  EXPECT_EQ(sys(SYS_rename, "d/a", "d/same"), 0);
  EXPECT_EQ(sys(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "d/a", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(sys(SYS_rename, "d/a", "b"), refused(EACCES));
  if (mode() != Mode::kMincow) {
    EXPECT_EQ(sys(SYS_rename, "b", "d/a"), -EACCES);
    EXPECT_EQ(sys(SYS_rename, "b", "d/none"), -EACCES);
  }
  EXPECT_EQ(::chmod("d", 0755), 0);
}

}  // namespace
}  // namespace viewsh_test

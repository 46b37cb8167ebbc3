#include "tmpfs.h"

#include <linux/magic.h>

#include "tmpfs_fixture.h"
#include "tmpfs_options.h"

namespace viewsh {
namespace {

class Tmpfs : public TmpfsFixture {};

TEST_F(Tmpfs, SizesAreWrittenAsInTmpfs5) {
  EXPECT_EQ(parse_size("4096", 0), 4096U);
  EXPECT_EQ(parse_size("4k", 0), 4096U);
  EXPECT_EQ(parse_size("64M", 0), 64U << 20);
  EXPECT_EQ(parse_size("2g", 0), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("50%", 1000), 500U);
  for (const char* wrong :
       {"", "k", "12x", "-1", "1.5M", "%", "99999999999999999999", "99999999999t"})
    EXPECT_FALSE(parse_size(wrong, 1000).has_value()) << wrong;
}

TEST_F(Tmpfs, RefusalsSayWhy) {
  EXPECT_EQ(tmpfs({{"size", "12x"}}), nullptr);
  EXPECT_EQ(error_.text, "tmpfs: size=12x: not a size");
  EXPECT_EQ(tmpfs({{"mode", "9"}}), nullptr);
  EXPECT_EQ(error_.text, "tmpfs: mode=9: not an octal mode");
  EXPECT_EQ(tmpfs({{"uid", std::to_string(::geteuid() + 1)}}), nullptr);
  EXPECT_NE(tmpfs({{"uid", std::to_string(::geteuid())}}), nullptr);
  EXPECT_EQ(tmpfs({{"colour", "red"}}), nullptr);
  EXPECT_EQ(error_.text, "tmpfs: unknown option 'colour'");
  EXPECT_NE(tmpfs({{"nosuid", ""}, {"nodev", ""}}), nullptr);
}

TEST_F(Tmpfs, TheRootHasTheModeGiven) {
  EXPECT_EQ(tmpfs({})->getattr("")->stx_mode, S_IFDIR | 01777);
  EXPECT_EQ(tmpfs({{"mode", "700"}})->getattr("")->stx_mode, S_IFDIR | 0700);
}

TEST_F(Tmpfs, WalksUpToTheFirstLink) {
  dir("a");
  dir("a/b");
  put("a/b/f", "x");
  ASSERT_EQ(::symlink("b", (dir_ + "/a/l").c_str()), 0);
  Result<Found> found = find(*below_, "a/b/f");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->type, NodeType::kRegular);
  EXPECT_EQ(found->host, dir_ + "/a/b/f");
  EXPECT_EQ(found->consumed, 5U);
  found = find(*below_, "a/l/f");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->target, "b");
  EXPECT_EQ(found->consumed, 3U);
  EXPECT_EQ(find(*below_, "a/l")->kind, Found::Kind::kLink);
  EXPECT_EQ(find(*below_, "a/l", false)->type, NodeType::kSymlink);
  EXPECT_EQ(find(*below_, "a/new")->kind, Found::Kind::kMissing);
  EXPECT_EQ(find(*below_, "a/new")->host, dir_ + "/a/new");
  EXPECT_EQ(find(*below_, "no/new").error(), ENOENT);
  EXPECT_EQ(find(*below_, "a/b/f/g").error(), ENOTDIR);
  EXPECT_EQ(find(*below_, std::string(300, 'n')).error(), ENAMETOOLONG);
  found = below_->resolve("a", "l/f", {}, me());
  EXPECT_EQ(found->consumed, 1U);
  EXPECT_EQ(below_->reverse(dir_ + "/a/b"), "a/b");
  EXPECT_EQ(below_->reverse(dir_), "");
  EXPECT_EQ(below_->reverse(dir_ + "x"), std::nullopt);
}

TEST_F(Tmpfs, ReserveKeepsTheSize) {
  std::shared_ptr<FileSystem> fs = tmpfs({{"size", "64k"}});
  ASSERT_TRUE(fs->quota());
  std::string path = find(*fs, "")->host + "/f";
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  std::string page(4096, 'x');
  uint64_t written = 0;
  for (int i = 0; i < 100; ++i) {
    uint64_t room = fs->reserve(page.size());
    if (room == 0) break;
    ASSERT_EQ(::write(fd, page.data(), room), static_cast<ssize_t>(room));
    ::fsync(fd);
    written += room;
  }
  EXPECT_EQ(written, 64U << 10);
  EXPECT_EQ(fs->statfs("")->f_bfree, 0U);
  ASSERT_EQ(::ftruncate(fd, 0), 0);
  ::fsync(fd);
  EXPECT_EQ(fs->reserve(4096), 4096U);
  EXPECT_EQ(fs->reserve(1 << 30), 64U << 10);
  ::close(fd);
}

// The disk's file system may need a block of its own to list a file's pieces: not content.
TEST_F(Tmpfs, AFileInManyPiecesTakesItsSize) {
  std::shared_ptr<FileSystem> fs = tmpfs({{"size", "1M"}});
  std::string path = find(*fs, "")->host + "/f";
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  for (int first : {0, 1}) {
    for (int at = first; at < 40; at += 2) {
      ASSERT_EQ(::pwrite(fd, page.data(), page.size(), at * 4096), 4096);
      ::fsync(fd);
    }
  }
  ::close(fd);
  EXPECT_EQ(fs->statfs("")->f_bfree, 256U - 40U);
}

TEST_F(Tmpfs, StatfsTellsTheSize) {
  struct statfs limited = *tmpfs({{"size", "1M"}, {"nr_inodes", "10"}})->statfs("");
  EXPECT_EQ(limited.f_type, TMPFS_MAGIC);
  EXPECT_EQ(limited.f_blocks * static_cast<uint64_t>(limited.f_bsize), 1U << 20);
  EXPECT_EQ(limited.f_bavail, limited.f_blocks);
  EXPECT_EQ(limited.f_files, 10U);
  EXPECT_EQ(limited.f_ffree, 9U);
  EXPECT_FALSE(below_->quota());
  EXPECT_EQ(below_->statfs("")->f_blocks, memory_size() / 2 / 4096);
}

TEST_F(Tmpfs, InodesAreCounted) {
  std::shared_ptr<FileSystem> fs = tmpfs({{"nr_inodes", "3"}});
  EXPECT_FALSE(fs->transparent());
  EXPECT_TRUE(fs->mkdir("a", 0755, me()).ok());
  EXPECT_EQ(fs->mkdir("a", 0755, me()).error(), EEXIST);
  EXPECT_EQ(write(*fs, "f", "x", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(write(*fs, "f", "y", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(write(*fs, "g", "x", O_WRONLY | O_CREAT), ENOSPC);
  EXPECT_EQ(fs->symlink("l", "x", me()).error(), ENOSPC);
  EXPECT_TRUE(fs->unlink("f", me()).ok());
  EXPECT_TRUE(fs->symlink("l", "x", me()).ok());
}

TEST_F(Tmpfs, UmaskOfTheCallerApplies) {
  Caller caller = me();
  caller.umask = 027;
  ASSERT_TRUE(below_->mkdir("d", 0777, caller).ok());
  EXPECT_EQ(below_->getattr("d")->stx_mode, S_IFDIR | 0750);
}

TEST_F(Tmpfs, GoesWithAllModesAndDepths) {
  size_t before = host_.scratch_dirs();
  std::shared_ptr<FileSystem> fs = tmpfs({});
  ASSERT_EQ(host_.scratch_dirs(), before + 1);
  std::string root = find(*fs, "")->host;
  ASSERT_EQ(::mkdir((root + "/d").c_str(), 0755), 0);
  std::ofstream(root + "/d/f") << "x";
  ASSERT_EQ(::mkdir((root + "/d/e").c_str(), 0), 0);
  ASSERT_EQ(::chmod((root + "/d").c_str(), 0), 0);
  int at = ::open(root.c_str(), O_PATH | O_CLOEXEC);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(::mkdirat(at, "deep", 0755), 0);
    int next = ::openat(at, "deep", O_PATH | O_CLOEXEC);
    ::close(at);
    at = next;
  }
  ::close(at);
  EXPECT_TRUE(fs->shutdown().ok());
  EXPECT_EQ(host_.scratch_dirs(), before);
  fs.reset();
  tmpfs({}).reset();
  EXPECT_EQ(host_.scratch_dirs(), before);
}

TEST_F(Tmpfs, ReadOnlyIsReadOnly) {
  std::shared_ptr<FileSystem> fs = tmpfs({{"ro", ""}});
  EXPECT_TRUE(fs->read_only());
  EXPECT_EQ(fs->type(), "tmpfs");
  EXPECT_EQ(fs->mkdir("d", 0755, me()).error(), EROFS);
  EXPECT_FALSE(find(*fs, "d")->in_place);
}

}  // namespace
}  // namespace viewsh

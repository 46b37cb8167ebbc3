#include "merge.h"

#include <sys/xattr.h>

#include <set>

#include "tmpfs_fixture.h"

namespace viewsh {
namespace {

class Merge : public TmpfsFixture {
 protected:
  Merge() {
    dir("a");
    dir("b");
    dir("a/both");
    dir("b/both", 0750);
    put("a/both/x", "a");
    put("b/both/x", "b");
    put("b/both/y", "lower y");
    put("a/only-a", "1");
    put("b/only-b", "2");
    dir("b/low");
    dir("b/low/deep", 0711);
    put("b/low/deep/f", "deep");
    // A file of one source where the other has a directory, both ways.
    put("a/mixed", "file");
    dir("b/mixed");
    put("b/mixed/inside", "covered");
    dir("a/mixed2");
    put("b/mixed2", "covered");
    ro_ = mount_merge(request("merge", {"/a", "/b"}), host_, &error_);
    rw_ = mount_merge(request("merge", {"/a", "/b"}, {{"rw", ""}}), host_, &error_);
  }
  std::string a(const std::string& path) { return dir_ + "/a/" + path; }
  bool untouched() {
    return cat(dir_ + "/b/both/y") == "lower y" && cat(dir_ + "/b/only-b") == "2";
  }

  std::shared_ptr<FileSystem> ro_, rw_;
};

TEST_F(Merge, TheFirstThatHasANameWins) {
  ASSERT_NE(ro_, nullptr) << error_.text;
  EXPECT_EQ(names(*ro_, ""), (Names{"both", "low", "mixed", "mixed2", "only-a", "only-b"}));
  EXPECT_EQ(names(*ro_, "both"), (Names{"x", "y"}));
  EXPECT_EQ(read(*ro_, "both/x"), "a");
  EXPECT_EQ(read(*ro_, "both/y"), "lower y");
  EXPECT_EQ(read(*ro_, "low/deep/f"), "deep");
  EXPECT_TRUE(find(*ro_, "both")->list_virtual);
  EXPECT_FALSE(find(*ro_, "low")->list_virtual);
  EXPECT_EQ(find(*ro_, "low/deep/f")->host, dir_ + "/b/low/deep/f");
}

TEST_F(Merge, AFileCoversADirectoryAndTheOtherWayRound) {
  EXPECT_EQ(find(*ro_, "mixed")->type, NodeType::kRegular);
  EXPECT_EQ(find(*ro_, "mixed/inside").error(), ENOTDIR);
  EXPECT_EQ(find(*ro_, "mixed2")->type, NodeType::kDirectory);
  EXPECT_EQ(find(*ro_, "mixed2/inside")->kind, Found::Kind::kMissing);
  EXPECT_EQ(find(*ro_, "mixed2/no/inside").error(), ENOENT);
  EXPECT_TRUE(names(*ro_, "mixed2").empty());
}

TEST_F(Merge, LinksCoverAndAreCovered) {
  ASSERT_EQ(::symlink("low", a("link").c_str()), 0);
  dir("b/link");
  put("b/link/f", "covered");
  Result<Found> found = find(*ro_, "link/f");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->target, "low");
  EXPECT_EQ(found->consumed, 4U);
  dir("a/tunnel");
  ASSERT_EQ(::symlink("low", (dir_ + "/b/tunnel").c_str()), 0);
  EXPECT_EQ(find(*ro_, "tunnel/deep/f").error(), ENOENT);
  EXPECT_EQ(find(*ro_, "tunnel/f")->kind, Found::Kind::kMissing);
}

TEST_F(Merge, ResolvesBelowABaseThatOnlyOneSourceHas) {
  Result<Found> found = ro_->resolve("low", "deep/f", {}, me());
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->kind, Found::Kind::kNode);
  EXPECT_EQ(found->consumed, 6U);
  ASSERT_EQ(::symlink("deep", (dir_ + "/b/low/l").c_str()), 0);
  found = ro_->resolve("low", "l/f", {}, me());
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->consumed, 1U);
}

TEST_F(Merge, NumbersInListingsAreThoseOfTheNodes) {
  for (const char* path : {"", "both", "low"}) {
    auto entries = ro_->list(path);
    ASSERT_TRUE(entries.ok());
    for (const DirEntry& entry : *entries)
      EXPECT_EQ(ro_->getattr(host_ops::join(path, entry.name))->stx_ino, entry.ino) << entry.name;
  }
}

TEST_F(Merge, AMergedDirectoryHasOneLink) {
  EXPECT_EQ(ro_->getattr("both")->stx_nlink, 1U);
  ASSERT_TRUE(find(*ro_, "both").ok());
  Attr native = *host_ops::get_attr(a("both"));
  EXPECT_TRUE(ro_->fix_attr(&native));
  EXPECT_EQ(native.stx_nlink, 1U);
  Attr plain = *host_ops::get_attr(dir_ + "/b/low");
  EXPECT_FALSE(ro_->fix_attr(&plain));
}

TEST_F(Merge, ReverseTellsOnlyWhatIsSeen) {
  EXPECT_EQ(ro_->reverse(a("both/x")), "both/x");
  EXPECT_EQ(ro_->reverse(dir_ + "/b/both/x"), std::nullopt);
  EXPECT_EQ(ro_->reverse(dir_ + "/b/both/y"), "both/y");
  EXPECT_EQ(ro_->reverse(dir_ + "/b/both"), "both");
  EXPECT_EQ(ro_->reverse(dir_ + "/b/mixed"), std::nullopt);
  EXPECT_EQ(ro_->reverse("/etc"), std::nullopt);
}

TEST_F(Merge, IsReadOnlyUnlessAskedFor) {
  EXPECT_TRUE(ro_->read_only());
  EXPECT_EQ(ro_->type(), "merge");
  EXPECT_EQ(ro_->mkdir("new", 0755, me()).error(), EROFS);
  EXPECT_EQ(write(*ro_, "only-a", "x", O_WRONLY), EROFS);
  EXPECT_EQ(write(*ro_, "new", "x", O_WRONLY | O_CREAT), EROFS);
  EXPECT_EQ(ro_->unlink("only-a", me()).error(), EROFS);
}

TEST_F(Merge, NewNamesGoToTheFirst) {
  ASSERT_NE(rw_, nullptr) << error_.text;
  EXPECT_EQ(write(*rw_, "low/deep/new", "n", O_WRONLY | O_CREAT | O_EXCL), 0);
  EXPECT_EQ(cat(a("low/deep/new")), "n");
  EXPECT_EQ(host_ops::get_attr(a("low/deep"))->stx_mode, S_IFDIR | 0711);
  EXPECT_EQ(names(*rw_, "low/deep"), (Names{"f", "new"}));
  EXPECT_TRUE(rw_->mkdir("both/d", 0700, me()).ok());
  EXPECT_EQ(host_ops::get_attr(a("both/d"))->stx_mode, S_IFDIR | 0700);
  EXPECT_EQ(rw_->mkdir("low", 0700, me()).error(), EEXIST);
  EXPECT_TRUE(rw_->symlink("low/s", "t", me()).ok());
  EXPECT_EQ(write(*rw_, "no/new", "n", O_WRONLY | O_CREAT), ENOENT);
  EXPECT_EQ(write(*rw_, "only-b", "n", O_WRONLY | O_CREAT | O_EXCL), EEXIST);
  EXPECT_TRUE(untouched());
}

TEST_F(Merge, AWriteCopiesUpAndKeepsTheNumber) {
  Attr before = *rw_->getattr("both/y");
  EXPECT_EQ(write(*rw_, "both/y", "UPPER", O_WRONLY), 0);
  EXPECT_EQ(read(*rw_, "both/y"), "UPPER y");
  EXPECT_TRUE(untouched());
  Attr after = *rw_->getattr("both/y");
  EXPECT_EQ(after.stx_ino, before.stx_ino);
  EXPECT_EQ(after.stx_mode, before.stx_mode);
  Attr native = *host_ops::get_attr(a("both/y"));
  EXPECT_NE(native.stx_ino, before.stx_ino);
  EXPECT_TRUE(rw_->fix_attr(&native));
  EXPECT_EQ(native.stx_ino, before.stx_ino);
  EXPECT_TRUE(find(*rw_, "both/y")->attr_virtual);
  auto entries = rw_->list("both");
  for (const DirEntry& entry : *entries) {
    EXPECT_EQ(entry.ino, rw_->getattr("both/" + entry.name)->stx_ino) << entry.name;
    EXPECT_TRUE(entry.name == "x" || entry.name == "y") << entry.name;
  }
  Attr deep = *rw_->getattr("low/deep");
  EXPECT_EQ(write(*rw_, "low/deep/f", "", O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(read(*rw_, "low/deep/f"), "");
  EXPECT_EQ(rw_->getattr("low/deep")->stx_ino, deep.stx_ino);
  EXPECT_EQ(cat(dir_ + "/b/low/deep/f"), "deep");
}

TEST_F(Merge, ACopyKeepsTimesHolesAndAttributes) {
  std::string host = dir_ + "/b/sparse";
  int fd = ::open(host.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
  ASSERT_EQ(::pwrite(fd, "end", 3, 8 << 20), 3);
  ASSERT_EQ(::ftruncate(fd, 16 << 20), 0);
  bool xattrs = ::fsetxattr(fd, "user.k", "v", 1, 0) == 0;
  timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(::futimens(fd, times), 0);
  ::close(fd);
  SetAttr mode;
  mode.mode = 0600;
  ASSERT_TRUE(rw_->setattr("sparse", mode, me()).ok());
  Attr copy = *host_ops::get_attr(a("sparse"));
  EXPECT_EQ(copy.stx_mode, S_IFREG | 0600);
  EXPECT_EQ(copy.stx_size, 16U << 20);
  EXPECT_LT(copy.stx_blocks * 512, 1U << 20);
  EXPECT_EQ(copy.stx_mtime.tv_sec, 2000);
  EXPECT_EQ(copy.stx_mtime.tv_nsec, 2U);
  EXPECT_EQ(cat(a("sparse")).substr(8 << 20, 3), "end");
  char value = 0;
  ASSERT_EQ(::getxattr(a("sparse").c_str(), "user.k", &value, 1), xattrs ? 1 : -1);
  EXPECT_EQ(host_ops::get_attr(host)->stx_mode, S_IFREG | 0640);
}

TEST_F(Merge, OnlyWhatTheFirstAloneHasCanGo) {
  EXPECT_TRUE(rw_->unlink("only-a", me()).ok());
  EXPECT_EQ(rw_->unlink("only-b", me()).error(), EROFS);
  EXPECT_EQ(rw_->unlink("both/x", me()).error(), EROFS);
  EXPECT_EQ(rw_->unlink("none", me()).error(), ENOENT);
  EXPECT_EQ(rw_->unlink("both", me()).error(), EISDIR);
  EXPECT_EQ(rw_->rmdir("both", me()).error(), ENOTEMPTY);
  EXPECT_EQ(rw_->rmdir("mixed2", me()).error(), EROFS);
  EXPECT_EQ(rw_->rmdir("only-b", me()).error(), ENOTDIR);
  ASSERT_TRUE(rw_->mkdir("new", 0755, me()).ok());
  EXPECT_TRUE(rw_->rmdir("new", me()).ok());
  EXPECT_TRUE(untouched());
}

TEST_F(Merge, Renames) {
  EXPECT_EQ(rw_->rename("both", "other", 0, me()).error(), EXDEV);
  EXPECT_EQ(rw_->rename("only-b", "other", 0, me()).error(), EROFS);
  EXPECT_EQ(rw_->rename("both/x", "other", 0, me()).error(), EROFS);
  EXPECT_EQ(rw_->rename("only-a", "low", 0, me()).error(), EISDIR);
  EXPECT_EQ(rw_->rename("only-a", "only-b", RENAME_NOREPLACE, me()).error(), EEXIST);
  EXPECT_EQ(rw_->rename("only-a", "x", RENAME_WHITEOUT, me()).error(), EINVAL);
  EXPECT_TRUE(rw_->rename("only-a", "low/deep/moved", 0, me()).ok());
  EXPECT_EQ(read(*rw_, "low/deep/moved"), "1");
  EXPECT_TRUE(rw_->rename("low/deep/moved", "only-b", 0, me()).ok());
  EXPECT_EQ(read(*rw_, "only-b"), "1");
  EXPECT_EQ(rw_->rename("only-b", "back", 0, me()).error(), EROFS);
  ASSERT_TRUE(rw_->mkdir("d1", 0755, me()).ok());
  EXPECT_TRUE(rw_->rename("d1", "d2", 0, me()).ok());
  EXPECT_EQ(rw_->rename("d2", "low", 0, me()).error(), ENOTEMPTY);
  EXPECT_TRUE(untouched());
}

TEST_F(Merge, ALinkToALowerFileCopiesItFirst) {
  EXPECT_TRUE(rw_->link("both/y", "low/y2", me()).ok());
  EXPECT_EQ(rw_->getattr("both/y")->stx_ino, rw_->getattr("low/y2")->stx_ino);
  EXPECT_EQ(write(*rw_, "low/y2", "LINK", O_WRONLY), 0);
  EXPECT_EQ(read(*rw_, "both/y"), "LINKr y");
  EXPECT_EQ(rw_->link("low", "low2", me()).error(), EPERM);
  EXPECT_TRUE(untouched());
}

TEST_F(Merge, ALowerDirectoryThatMayNotBeWrittenIsKept) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ASSERT_EQ(::chmod((dir_ + "/b/low").c_str(), 0555), 0);
  EXPECT_EQ(rw_->mkdir("low/new", 0755, me()).error(), EACCES);
  ASSERT_EQ(::chmod((dir_ + "/b/only-b").c_str(), 0444), 0);
  EXPECT_EQ(write(*rw_, "only-b", "x", O_WRONLY), EACCES);
}

TEST_F(Merge, RefusalsSayWhy) {
  EXPECT_EQ(mount_merge(request("merge", {"/a", "/none"}), host_, &error_), nullptr);
  EXPECT_EQ(error_.text, "/none: No such file or directory");
  EXPECT_EQ(mount_merge(request("merge", {"/a", "/b/only-b"}), host_, &error_), nullptr);
  EXPECT_EQ(error_.text, "/b/only-b: Not a directory");
  EXPECT_EQ(mount_merge(request("merge", {}), host_, &error_), nullptr);
}

}  // namespace
}  // namespace viewsh

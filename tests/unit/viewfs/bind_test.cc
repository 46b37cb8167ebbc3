#include "bind.h"

#include <sys/statvfs.h>

#include "tmpfs_fixture.h"

namespace viewsh {
namespace {

class Bind : public TmpfsFixture {
 protected:
  Bind() {
    dir("src");
    dir("src/d");
    put("src/f", "text");
    fs_ = mount_bind(request("bind", {"/src"}), host_, &error_);
    ro_ = mount_bind(request("bind", {"/src"}, {{"ro", ""}}), host_, &error_);
  }
  std::shared_ptr<FileSystem> fs_, ro_;
};

TEST_F(Bind, ShowsTheSource) {
  ASSERT_NE(fs_, nullptr) << error_.text;
  EXPECT_EQ(fs_->type(), "bind");
  EXPECT_TRUE(fs_->transparent());
  EXPECT_FALSE(fs_->read_only());
  EXPECT_EQ(names(*fs_, ""), (Names{"d", "f"}));
  EXPECT_EQ(find(*fs_, "f")->host, dir_ + "/src/f");
  EXPECT_TRUE(find(*fs_, "f")->in_place);
  EXPECT_EQ(find(*fs_, "new")->host, dir_ + "/src/new");
  EXPECT_TRUE(find(*fs_, "new")->in_place);
  EXPECT_EQ(fs_->reverse(dir_ + "/src/d"), "d");
  EXPECT_EQ(fs_->reverse(dir_ + "/other"), std::nullopt);
  EXPECT_EQ(write(*fs_, "f", "TEXT", O_WRONLY), 0);
  EXPECT_EQ(cat(dir_ + "/src/f"), "TEXT");
}

TEST_F(Bind, OfAFile) {
  std::shared_ptr<FileSystem> file = mount_bind(request("bind", {"/src/f"}), host_, &error_);
  ASSERT_NE(file, nullptr) << error_.text;
  Result<Found> found = find(*file, "");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->type, NodeType::kRegular);
  EXPECT_EQ(found->host, dir_ + "/src/f");
  EXPECT_EQ(read(*file, ""), "text");
}

TEST_F(Bind, RefusalsSayWhy) {
  EXPECT_EQ(mount_bind(request("bind", {"/none"}), host_, &error_), nullptr);
  EXPECT_EQ(error_.text, "/none: No such file or directory");
  EXPECT_EQ(error_.error, ENOENT);
  EXPECT_EQ(mount_bind(request("bind", {}), host_, &error_), nullptr);
  EXPECT_EQ(mount_bind(request("bind", {"/src"}, {{"rO", ""}}), host_, &error_), nullptr);
  EXPECT_EQ(error_.text, "bind: unknown option 'rO'");
}

TEST_F(Bind, ReadOnlyRefusesEveryChange) {
  ASSERT_NE(ro_, nullptr) << error_.text;
  EXPECT_TRUE(ro_->read_only());
  EXPECT_FALSE(find(*ro_, "f")->in_place);
  EXPECT_FALSE(find(*ro_, "new")->in_place);
  EXPECT_EQ(ro_->mkdir("new", 0755, me()).error(), EROFS);
  EXPECT_EQ(ro_->mkdir("d", 0755, me()).error(), EEXIST);
  EXPECT_EQ(ro_->mknod("new", S_IFREG | 0644, 0, me()).error(), EROFS);
  EXPECT_EQ(ro_->symlink("new", "x", me()).error(), EROFS);
  EXPECT_EQ(ro_->link("f", "new", me()).error(), EROFS);
  EXPECT_EQ(ro_->link_host("/proc/self/fd/1", "new", me()).error(), EROFS);
  EXPECT_EQ(ro_->unlink("f", me()).error(), EROFS);
  EXPECT_EQ(ro_->rmdir("d", me()).error(), EROFS);
  EXPECT_EQ(ro_->rename("f", "g", 0, me()).error(), EROFS);
  EXPECT_EQ(ro_->setxattr("f", "user.a", "b", 0, me()).error(), EROFS);
  EXPECT_EQ(ro_->removexattr("f", "user.a", me()).error(), EROFS);
  SetAttr mode;
  mode.mode = 0600;
  EXPECT_EQ(ro_->setattr("f", mode, me()).error(), EROFS);
  SetAttr size;
  size.size = 0;
  EXPECT_EQ(ro_->setattr("f", size, me()).error(), EROFS);
  EXPECT_EQ(ro_->setattr("d", size, me()).error(), EISDIR);
}

TEST_F(Bind, ReadOnlyOpens) {
  EXPECT_EQ(read(*ro_, "f"), "text");
  EXPECT_EQ(write(*ro_, "f", "", O_WRONLY), EROFS);
  EXPECT_EQ(write(*ro_, "f", "", O_RDWR), EROFS);
  EXPECT_EQ(write(*ro_, "f", "", O_RDONLY | O_TRUNC), EROFS);
  EXPECT_EQ(write(*ro_, "new", "", O_RDONLY | O_CREAT), EROFS);
  EXPECT_EQ(write(*ro_, "new", "", O_RDONLY), ENOENT);
  EXPECT_EQ(write(*ro_, "f", "", O_RDONLY | O_CREAT | O_EXCL), EEXIST);
  EXPECT_EQ(write(*ro_, "d", "", O_WRONLY), EISDIR);
  EXPECT_EQ(write(*ro_, "d", "", O_WRONLY | O_TMPFILE), EROFS);
  Result<OpenPlan> plan = ro_->plan_open("f", {O_RDONLY | O_CREAT, 0644, NodeType::kRegular}, me());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->flags & O_CREAT, 0);
}

TEST_F(Bind, DevicesOfAReadOnlyMountMayBeWritten) {
  ASSERT_EQ(::mkfifo((dir_ + "/src/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(ro_->plan_open("fifo", {O_RDWR, 0, NodeType::kRegular}, me()).ok());
}

TEST_F(Bind, StatfsOfAReadOnlyMountSaysSo) {
  EXPECT_NE(ro_->statfs("")->f_flags & ST_RDONLY, 0);
  EXPECT_EQ(fs_->statfs("")->f_flags & ST_RDONLY, 0);
}

TEST_F(Bind, SubtreesStayReadOnly) {
  Result<std::shared_ptr<FileSystem>> tree = ro_->subtree("d");
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ((*tree)->mkdir("x", 0755, me()).error(), EROFS);
}

}  // namespace
}  // namespace viewsh

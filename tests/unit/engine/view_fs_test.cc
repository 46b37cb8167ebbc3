#include "vfs/view_fs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::host_fs;
using testing::mount_of;
using testing::TempTree;

/// A view with a directory, a file and a name that isn't there mounted into it, as one file system.
class ViewFsTest : public ::testing::Test {
 protected:
  ViewFsTest() {
    tree_.dir("root/d/e/f");
    tree_.file("root/d/file");
    tree_.file("root/d/hidden");
    tree_.dir("root/d/m");
    tree_.file("root/d/m/covered");
    tree_.dir("side/s/t");
    tree_.file("side/s/file");
    tree_.link("side/link", "s/t");
    tree_.link("root/d/link", "m/s");
    tree_.file("single", "one");
    view_ = std::make_shared<View>(mount_of("/", host_fs(tree_.host("root"))));
    add("/d/m", "side", std::nullopt);
    add("/d/new", "side/s", MountName{"new", false, NodeType::kDirectory});
    add("/d/file", "single", std::nullopt);
    add("/d/hidden", "side", MountName{"hidden", true, NodeType::kDirectory});
    fs_ = std::make_unique<ViewFs>(view_, "/");
    part_ = std::make_unique<ViewFs>(view_, "/d");
  }
  void add(const std::string& at, const std::string& source, std::optional<MountName> name) {
    view_ = view_->with(mount_of(at, host_fs(tree_.host(source))), std::move(name));
  }
  Result<Found> resolve(ViewFs& fs, const std::string& base, const std::string& rest) {
    return fs.resolve(base, rest, {true, true}, caller_);
  }
  static std::vector<std::string> names(Result<std::vector<DirEntry>> entries) {
    std::vector<std::string> out;
    if (!entries.ok()) return {"E" + std::to_string(entries.error().value())};
    for (const DirEntry& entry : *entries) out.push_back(entry.name);
    std::sort(out.begin(), out.end());
    return out;
  }
  TempTree tree_;
  std::shared_ptr<const View> view_;
  std::unique_ptr<ViewFs> fs_;
  std::unique_ptr<ViewFs> part_;
  Caller caller_;
};

TEST_F(ViewFsTest, ResolvesThroughMounts) {
  EXPECT_EQ(resolve(*fs_, "", "d/e")->host, tree_.host("root/d/e"));
  EXPECT_EQ(resolve(*fs_, "", "d/m")->host, tree_.host("side"));
  EXPECT_EQ(resolve(*fs_, "", "d/m/s/file")->host, tree_.host("side/s/file"));
  EXPECT_EQ(resolve(*fs_, "d", "m/s")->host, tree_.host("side/s"));
  EXPECT_EQ(resolve(*fs_, "d/m", "s")->host, tree_.host("side/s"));
  EXPECT_EQ(resolve(*fs_, "d/m/s", "file")->host, tree_.host("side/s/file"));
  EXPECT_EQ(resolve(*fs_, "d/m", "")->host, tree_.host("side"));
  EXPECT_EQ(resolve(*part_, "", "m/s/file")->host, tree_.host("side/s/file"));
  EXPECT_EQ(resolve(*part_, "m", "s/file")->host, tree_.host("side/s/file"));
  EXPECT_EQ(resolve(*part_, "", "")->host, tree_.host("root/d"));
  EXPECT_EQ(resolve(*part_, "new", "file")->host, tree_.host("side/s/file"));
  EXPECT_EQ(resolve(*part_, "", "file")->host, tree_.host("single"));
  EXPECT_EQ(resolve(*part_, "", "file/x").error(), ENOTDIR);
  EXPECT_EQ(resolve(*part_, "", "m/none")->kind, Found::Kind::kMissing);
  EXPECT_EQ(resolve(*part_, "", "m/none/x").error(), ENOENT);
}

TEST_F(ViewFsTest, ConsumedCountsFromTheBeginningOfTheRun) {
  Result<Found> found = resolve(*fs_, "", "d/m/link/x");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->target, "s/t");
  EXPECT_EQ(found->consumed, std::string("d/m/link").size());
  found = resolve(*part_, "", "link/t");
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->consumed, std::string("link").size());
  for (const char* rest : {"m", "m/s", "m/s/t", "e/f", "new", "new/t"}) {
    found = resolve(*part_, "", rest);
    ASSERT_TRUE(found.ok()) << rest;
    EXPECT_EQ(found->consumed, std::string(rest).size()) << rest;
  }
}

TEST_F(ViewFsTest, ListsWhatTheViewShows) {
  EXPECT_EQ(names(fs_->list("d")), (std::vector<std::string>{"e", "file", "link", "m", "new"}));
  EXPECT_EQ(names(part_->list("")), (std::vector<std::string>{"e", "file", "link", "m", "new"}));
  EXPECT_EQ(names(part_->list("m")), (std::vector<std::string>{"link", "s"}));
  EXPECT_TRUE(resolve(*fs_, "", "d")->list_virtual);
  EXPECT_TRUE(resolve(*part_, "", "")->list_virtual);
  EXPECT_FALSE(resolve(*fs_, "", "d/e")->list_virtual);
  EXPECT_FALSE(resolve(*fs_, "", "d/m")->list_virtual);
}

TEST_F(ViewFsTest, AttributesAreThoseOfTheMount) {
  struct stat side {};
  ASSERT_EQ(lstat(tree_.host("side").c_str(), &side), 0);
  EXPECT_EQ(part_->getattr("m")->stx_ino, side.st_ino);
  EXPECT_EQ(part_->getattr("file")->stx_size, 3U);
  EXPECT_EQ(part_->getattr("m/covered").error(), ENOENT);
}

TEST_F(ViewFsTest, ReverseStaysBelowItsRoot) {
  EXPECT_EQ(fs_->reverse(tree_.host("root/d/e")), "d/e");
  EXPECT_EQ(part_->reverse(tree_.host("root/d/e")), "e");
  EXPECT_EQ(part_->reverse(tree_.host("root/d")), "");
  EXPECT_EQ(part_->reverse(tree_.host("root")), std::nullopt);
  EXPECT_EQ(part_->reverse(tree_.host("root/d/m/covered")), std::nullopt);
  EXPECT_EQ(part_->reverse(tree_.host("side/s/t")), "hidden/s/t");
}

TEST_F(ViewFsTest, ChangesGoToTheMount) {
  ASSERT_TRUE(part_->mkdir("m/made", 0755, caller_).ok());
  EXPECT_TRUE(std::filesystem::is_directory(tree_.host("side/made")));
  ASSERT_TRUE(part_->symlink("e/l", "x", caller_).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(tree_.host("root/d/e/l")));
  ASSERT_TRUE(part_->rename("m/made", "m/s/moved", 0, caller_).ok());
  EXPECT_TRUE(std::filesystem::is_directory(tree_.host("side/s/moved")));
  ASSERT_TRUE(part_->link("m/s/file", "m/hard", caller_).ok());
  ASSERT_TRUE(part_->unlink("m/hard", caller_).ok());
  ASSERT_TRUE(part_->rmdir("m/s/moved", caller_).ok());
  EXPECT_EQ(part_->mkdir("m", 0755, caller_).error(), EEXIST);
  Result<OpenPlan> plan = part_->plan_open("m/s/file", {0, 0, NodeType::kRegular}, caller_);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->host, tree_.host("side/s/file"));
}

TEST_F(ViewFsTest, MountPointsAreBusyAndBordersAreDevices) {
  EXPECT_EQ(part_->unlink("file", caller_).error(), EBUSY);
  EXPECT_EQ(part_->rmdir("m", caller_).error(), EBUSY);
  EXPECT_EQ(fs_->rmdir("d", caller_).error(), EBUSY);
  EXPECT_EQ(part_->rename("m", "x", 0, caller_).error(), EBUSY);
  EXPECT_EQ(part_->rename("e", "m", 0, caller_).error(), EBUSY);
  EXPECT_EQ(fs_->rename("d", "x", 0, caller_).error(), EBUSY);
  EXPECT_EQ(part_->rename("e", "m/e", 0, caller_).error(), EXDEV);
  EXPECT_EQ(part_->link("m/s/file", "e/file", caller_).error(), EXDEV);
  EXPECT_TRUE(std::filesystem::exists(tree_.host("root/d/e/f")));
}

TEST_F(ViewFsTest, SubtreesAreTheSimplestThatDo) {
  // With mounts below: a part of the view. Without: what the mount's own file system gives.
  Result<std::shared_ptr<FileSystem>> part = fs_->subtree("d");
  ASSERT_TRUE(part.ok());
  EXPECT_EQ((*part)->type(), "view");
  EXPECT_EQ((*part)->resolve("", "m/s", {true, true}, caller_)->host, tree_.host("side/s"));
  Result<std::shared_ptr<FileSystem>> plain = fs_->subtree("d/e");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ((*plain)->type(), "host");
  EXPECT_EQ((*plain)->resolve("", "f", {true, true}, caller_)->host, tree_.host("root/d/e/f"));
  Result<std::shared_ptr<FileSystem>> whole = fs_->subtree("d/m");
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(*whole, view_->locate("/d/m").mount->fs);
  Result<std::shared_ptr<FileSystem>> inner = part_->subtree("m/s");
  ASSERT_TRUE(inner.ok());
  EXPECT_EQ((*inner)->resolve("", "file", {true, true}, caller_)->host, tree_.host("side/s/file"));
  EXPECT_EQ(fs_->subtree("d/none").error(), ENOENT);
}

TEST_F(ViewFsTest, TheSnapshotStays) {
  add("/d/e", "side", std::nullopt);
  EXPECT_EQ(resolve(*part_, "", "e")->host, tree_.host("root/d/e"));
  EXPECT_EQ(view_->locate("/d/e").mount->at, "/d/e");
}

}  // namespace
}  // namespace viewsh

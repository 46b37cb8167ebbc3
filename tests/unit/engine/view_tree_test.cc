#include "outside/view_tree.h"

#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::mount_of;
using testing::TempTree;

class ViewTreeTest : public ::testing::Test {
 protected:
  ViewTreeTest() {
    tree_.file("a/f", "text");
    tree_.dir("b");
    auto cache = std::make_shared<PathCache>();
    auto root = mount_of("/", std::make_shared<HostFs>(tree_.root(), cache));
    served_ = std::make_unique<ViewTree>(std::make_shared<View>(std::move(root)), cache);
    served_->begin(022);
  }
  ServedId look(ServedId parent, const std::string& name) {
    const Result<ServedEntry> found = served_->lookup(parent, name);
    return found ? found->id : 0;
  }
  std::string content(ServedFile* file) {
    char text[64];
    const ssize_t n = pread(file->fd(), text, sizeof text, 0);
    return {text, static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }

  TempTree tree_;
  std::unique_ptr<ViewTree> served_;
};

TEST_F(ViewTreeTest, NodesGoByNames) {
  const ServedId a = look(kServedRoot, "a");
  const ServedId f = look(a, "f");
  EXPECT_NE(f, 0U);
  EXPECT_EQ(look(a, "f"), f);
  EXPECT_EQ(served_->lookup(a, "none").error(), ENOENT);
  EXPECT_EQ(served_->lookup(f, "x").error(), ENOTDIR);
  EXPECT_EQ(served_->lookup(12345, "x").error(), ESTALE);
  EXPECT_EQ(served_->getattr(f)->stx_size, 4U);
  served_->forget(f, 2);
  EXPECT_EQ(served_->getattr(f).error(), ESTALE);
  EXPECT_NE(look(a, "f"), f);  // a number is never given twice
}

TEST_F(ViewTreeTest, ADirectoryMovesWithWhatIsInIt) {
  const ServedId a = look(kServedRoot, "a");
  const ServedId f = look(a, "f");
  const ServedId b = look(kServedRoot, "b");
  ASSERT_TRUE(served_->rename(kServedRoot, "a", b, "moved", 0).ok());
  EXPECT_EQ(look(b, "moved"), a);
  EXPECT_EQ(look(a, "f"), f);
  EXPECT_TRUE(served_->getattr(f).ok());
  EXPECT_EQ(access(tree_.host("b/moved/f").c_str(), F_OK), 0);
  ASSERT_TRUE(served_->mkdir(kServedRoot, "a", 0755).ok());
  ASSERT_TRUE(served_->rename(b, "moved", kServedRoot, "a", 2).ok());  // RENAME_EXCHANGE
  EXPECT_EQ(look(kServedRoot, "a"), a);
  EXPECT_EQ(served_->rmdir(kServedRoot, "a").error(), ENOTEMPTY);
}

TEST_F(ViewTreeTest, LinksAreOneNode) {
  const ServedId a = look(kServedRoot, "a");
  const ServedId f = look(a, "f");
  const Result<ServedEntry> linked = served_->link(f, a, "g");
  ASSERT_TRUE(linked.ok());
  EXPECT_EQ(linked->id, f);
  EXPECT_EQ(linked->attr.stx_nlink, 2U);
  ASSERT_TRUE(served_->unlink(a, "f").ok());
  EXPECT_EQ(served_->getattr(f)->stx_nlink, 1U);
  EXPECT_EQ(look(a, "g"), f);
}

TEST_F(ViewTreeTest, WhatIsOpenStaysWithoutAName) {
  const ServedId a = look(kServedRoot, "a");
  const ServedId f = look(a, "f");
  const Result<ServedFile*> file = served_->open(f, O_RDWR);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(served_->unlink(a, "f").ok());
  EXPECT_EQ(served_->lookup(a, "f").error(), ENOENT);
  EXPECT_EQ(content(*file), "text");
  EXPECT_EQ(served_->getattr(f)->stx_nlink, 0U);
  SetAttr set;
  set.size = 2;
  EXPECT_EQ(served_->setattr(f, set, *file)->stx_size, 2U);
  served_->forget(f, 1);
  EXPECT_TRUE(served_->getattr(f).ok());
  served_->close(*file);
  EXPECT_EQ(served_->getattr(f).error(), ESTALE);
}

TEST_F(ViewTreeTest, ARemovedDirectoryIsWhatItWas) {
  const ServedId b = look(kServedRoot, "b");
  ASSERT_TRUE(served_->rmdir(kServedRoot, "b").ok());
  EXPECT_EQ(served_->getattr(b)->stx_nlink, 0U);
  EXPECT_EQ(served_->mkdir(b, "x", 0755).error(), ENOENT);
}

TEST_F(ViewTreeTest, ChangesOfOthersAreSeen) {
  const ServedId a = look(kServedRoot, "a");
  const ServedId f = look(a, "f");
  ASSERT_EQ(rename(tree_.host("a/f").c_str(), tree_.host("a/g").c_str()), 0);
  tree_.file("a/f", "other text");
  EXPECT_EQ(look(a, "g"), f);
  EXPECT_NE(look(a, "f"), f);
  ASSERT_EQ(unlink(tree_.host("a/g").c_str()), 0);
  EXPECT_EQ(served_->getattr(f).error(), ENOENT);
}

TEST_F(ViewTreeTest, CreatesWithTheUmaskAndWithoutAppend) {
  served_->begin(027);
  ServedFile* file = nullptr;
  const Result<ServedEntry> made =
      served_->create(kServedRoot, "new", O_CREAT | O_EXCL | O_WRONLY | O_APPEND, 0666, &file);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->attr.stx_mode & 0777, 0640);
  EXPECT_TRUE(file->appends());
  EXPECT_EQ(fcntl(file->fd(), F_GETFL) & O_APPEND, 0);
  EXPECT_EQ(served_->create(kServedRoot, "new", O_CREAT | O_EXCL | O_WRONLY, 0666, &file).error(),
            EEXIST);
  EXPECT_EQ(served_->symlink(kServedRoot, "new", "x").error(), EEXIST);
  const Result<ServedEntry> link = served_->symlink(kServedRoot, "link", "some/where");
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(*served_->readlink(link->id), "some/where");
  EXPECT_EQ(served_->readlink(made->id).error(), EINVAL);
}

TEST_F(ViewTreeTest, AttributesByName) {
  const ServedId f = look(look(kServedRoot, "a"), "f");
  const Result<void> set = served_->setxattr(f, "user.colour", "red", 0);
  if (!set && set.error() == EOPNOTSUPP) GTEST_SKIP() << "no user attributes in TMPDIR";
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(*served_->getxattr(f, "user.colour"), "red");
  EXPECT_NE(served_->listxattr(f)->find(std::string("user.colour") + '\0'), std::string::npos);
  ASSERT_TRUE(served_->removexattr(f, "user.colour").ok());
  EXPECT_EQ(served_->getxattr(f, "user.colour").error(), ENODATA);
}

}  // namespace
}  // namespace viewsh

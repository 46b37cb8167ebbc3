#include "hide.h"

#include "tmpfs_fixture.h"

namespace viewsh {
namespace {

class Hide : public TmpfsFixture {};

TEST_F(Hide, ThereIsNothing) {
  std::shared_ptr<FileSystem> fs = mount_hide(request("hide", {}), host_, &error_);
  ASSERT_NE(fs, nullptr);
  EXPECT_EQ(fs->type(), "hide");
  EXPECT_FALSE(fs->transparent());
  for (const char* path : {"", "a", "a/b"}) {
    EXPECT_EQ(find(*fs, path).error(), ENOENT);
    EXPECT_EQ(fs->getattr(path).error(), ENOENT);
    EXPECT_EQ(fs->list(path).error(), ENOENT);
    EXPECT_EQ(fs->subtree(path).error(), ENOENT);
    EXPECT_EQ(fs->watch(path, me()).error(), ENOENT);
  }
  EXPECT_EQ(fs->reverse(dir_), std::nullopt);
}

TEST_F(Hide, TheNameCantBeTaken) {
  std::shared_ptr<FileSystem> fs = mount_hide(request("hide", {}), host_, &error_);
  // A call that makes a name looks for a free one first.
  const auto free = fs->resolve("", "", {.follow_last = false, .want_exists = false}, me());
  ASSERT_TRUE(free.ok());
  EXPECT_EQ(free->kind, Found::Kind::kMissing);
  EXPECT_FALSE(free->in_place);
  EXPECT_EQ(fs->resolve("", "a", {.want_exists = false}, me()).error(), ENOENT);
  EXPECT_EQ(fs->mkdir("", 0755, me()).error(), EACCES);
  EXPECT_EQ(fs->symlink("", "x", me()).error(), EACCES);
  EXPECT_EQ(fs->mknod("", S_IFREG | 0644, 0, me()).error(), EACCES);
  EXPECT_EQ(fs->link("a", "", me()).error(), EACCES);
  EXPECT_EQ(fs->rename("", "b", 0, me()).error(), EACCES);
  EXPECT_EQ(fs->unlink("", me()).error(), EACCES);
  EXPECT_EQ(fs->rmdir("", me()).error(), EACCES);
  EXPECT_EQ(write(*fs, "", "x", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(write(*fs, "", "x", O_WRONLY), ENOENT);
}

}  // namespace
}  // namespace viewsh

#include "image_fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "archive_maker.h"
#include "scratch_host.h"

namespace viewsh {
namespace {

class ImageFsTest : public ::testing::Test {
 protected:
  void mount(const std::vector<MadeEntry>& entries, ImageStage::Limits limits = {}) {
    auto image = open_bytes(make_archive("pax", "", entries), "tar");
    ASSERT_NE(image, nullptr);
    mounted_ = std::make_shared<MountedImage>(nullptr, std::move(image), host_, 0x80001, limits);
    fs_ = std::make_shared<ImageFs>(mounted_, mounted_->image->root());
  }
  Result<Found> look(const std::string& path, const Caller& caller, bool follow = false) {
    return fs_->resolve("", path, {.follow_last = follow}, caller);
  }
  Result<OpenPlan> open(const std::string& path, int flags, const Caller& caller) {
    return fs_->plan_open(path, {.flags = flags}, caller);
  }
  static std::string read_all(const std::string& host) {
    UniqueFd fd(::open(host.c_str(), O_RDONLY | O_CLOEXEC));
    char bytes[4096];
    const ssize_t n = fd ? ::read(fd.get(), bytes, sizeof bytes) : -1;
    return n < 0 ? "unreadable" : std::string(bytes, static_cast<size_t>(n));
  }

  ScratchHost host_;
  std::shared_ptr<MountedImage> mounted_;
  std::shared_ptr<ImageFs> fs_;
  Caller owner_{.uid = 1000, .gid = 1000};
  Caller other_{.uid = 2000, .gid = 2000};
  Caller root_{};
};

std::vector<MadeEntry> tree() {
  std::vector<MadeEntry> entries = {
      made_dir("open"),
      made_dir("closed", 0700),
      made_file("closed/in", "in"),
      made_file("open/file", "text"),
      made_symlink("open/link", "file"),
      made_link("open/hard", "open/file"),
      {.path = "open/secret", .mode = S_IFREG | 0600, .content = "secret"},
      {.path = "open/run", .mode = S_IFREG | 0711, .content = "#!/bin/sh\n"},
      {.path = "open/fifo", .mode = S_IFIFO | 0600},
      {.path = "open/null", .mode = S_IFCHR | 0666},
  };
  entries[3].xattrs["user.note"] = "noted";
  return entries;
}

TEST_F(ImageFsTest, WalksAsTheKernelDoes) {
  mount(tree());
  EXPECT_EQ(look("open/file", other_)->type, NodeType::kRegular);
  EXPECT_TRUE(look("open/file", other_)->deferred);
  EXPECT_EQ(look("closed/in", other_).error(), EACCES);
  EXPECT_TRUE(look("closed/in", owner_).ok());
  EXPECT_TRUE(look("closed/in", root_).ok());
  EXPECT_EQ(look("closed/nope", other_).error(), EACCES);
  EXPECT_EQ(look("nope", other_)->kind, Found::Kind::kMissing);
  EXPECT_EQ(look("nope/x", other_).error(), ENOENT);
  EXPECT_EQ(look("open/file/x", other_).error(), ENOTDIR);
  EXPECT_EQ(look(std::string(256, 'x'), other_).error(), ENAMETOOLONG);
  const auto link = look("open/link/more", other_);
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(link->kind, Found::Kind::kLink);
  EXPECT_EQ(link->target, "file");
  EXPECT_EQ(link->consumed, std::string("open/link").size());
  EXPECT_EQ(look("open/link", other_)->kind, Found::Kind::kNode);
  EXPECT_EQ(look("open/link", other_, true)->kind, Found::Kind::kLink);
  const auto below = fs_->resolve("open", "file", {}, other_);
  EXPECT_EQ(below->consumed, 4U);
  EXPECT_EQ(fs_->resolve("closed", "in", {}, other_).error(), EACCES);
}

TEST_F(ImageFsTest, OpensInTheKernelsOrderOfErrors) {
  mount(tree());
  EXPECT_EQ(open("open/file", O_WRONLY, other_).error(), EROFS);
  EXPECT_EQ(open("open/secret", O_WRONLY, other_).error(), EROFS);
  EXPECT_EQ(open("open/secret", O_RDONLY, other_).error(), EACCES);
  EXPECT_EQ(open("open/file", O_RDONLY | O_TRUNC, owner_).error(), EROFS);
  EXPECT_EQ(open("open/file", O_CREAT | O_EXCL, owner_).error(), EEXIST);
  EXPECT_EQ(open("open/new", O_CREAT | O_WRONLY, owner_).error(), EROFS);
  EXPECT_EQ(open("open/new", O_RDONLY, owner_).error(), ENOENT);
  EXPECT_EQ(open("open", O_RDWR, owner_).error(), EISDIR);
  EXPECT_EQ(open("open", O_CREAT, owner_).error(), EISDIR);
  EXPECT_EQ(open("open", O_TMPFILE | O_RDWR, owner_).error(), EROFS);
  EXPECT_EQ(open("open/file", O_DIRECTORY, owner_).error(), ENOTDIR);
  EXPECT_EQ(open("open/link", O_NOFOLLOW, owner_).error(), ELOOP);
  EXPECT_EQ(open("open/null", O_RDONLY, root_).error(), EACCES);
  EXPECT_EQ(open("open/file", O_NOATIME, other_).error(), EPERM);
  EXPECT_TRUE(open("open/fifo", O_RDWR, owner_).ok());
  EXPECT_EQ(open("open/fifo", O_RDONLY, other_).error(), EACCES);
  const auto plan = open("open/file", O_CREAT | O_RDONLY, owner_);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->flags & O_CREAT, 0);
  EXPECT_EQ(read_all(plan->host), "text");
  EXPECT_EQ(plan->host, look("open/file", owner_)->host);
}

TEST_F(ImageFsTest, ChangesAreRefusedInOrder) {
  mount(tree());
  EXPECT_EQ(fs_->mkdir("open", 0755, owner_).error(), EEXIST);
  EXPECT_EQ(fs_->mkdir("new", 0755, owner_).error(), EROFS);
  EXPECT_EQ(fs_->symlink("open/link", "x", owner_).error(), EEXIST);
  EXPECT_EQ(fs_->link("open/file", "new", owner_).error(), EROFS);
  EXPECT_EQ(fs_->unlink("open/file", owner_).error(), EROFS);
  EXPECT_EQ(fs_->rename("open", "x", 0, owner_).error(), EROFS);
  SetAttr empty;
  empty.size = 0;
  SetAttr mode;
  mode.mode = 0;
  EXPECT_EQ(fs_->setattr("open", empty, owner_).error(), EISDIR);
  EXPECT_EQ(fs_->setattr("open/fifo", empty, owner_).error(), EINVAL);
  EXPECT_EQ(fs_->setattr("open/file", empty, owner_).error(), EROFS);
  EXPECT_EQ(fs_->setattr("nope", mode, owner_).error(), ENOENT);
  EXPECT_TRUE(fs_->read_only());
  EXPECT_EQ(fs_->statfs("")->f_flags & ST_RDONLY, ST_RDONLY);
}

TEST_F(ImageFsTest, ObjectsLeadBackToTheirNodes) {
  mount(tree());
  struct Marks final : AttrMarks {
    void mark(uint64_t ino) override { seen.push_back(ino); }
    std::vector<uint64_t> seen;
  } marks;
  EXPECT_TRUE(fs_->mark_attr(&marks));
  const auto plan = open("open/file", O_RDONLY, owner_);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(fs_->reverse(plan->host), "open/file");
  EXPECT_EQ(fs_->reverse(look("open", owner_)->host), "open");
  EXPECT_EQ(fs_->reverse(look("", owner_)->host), "");
  EXPECT_EQ(fs_->reverse("/etc/passwd"), std::nullopt);
  const auto program = open("open/run", O_RDONLY, root_);
  EXPECT_TRUE(program->host.ends_with("/run")) << program->host;
  EXPECT_EQ(fs_->reverse(program->host), "open/run");
  EXPECT_EQ(program->host, look("open/run", root_)->host);
  EXPECT_EQ(fs_->reverse(program->host.substr(0, program->host.size() - 4)), std::nullopt);
  EXPECT_EQ(fs_->reverse(plan->host + "x"), std::nullopt);
  Attr native{};
  ASSERT_EQ(statx(AT_FDCWD, plan->host.c_str(), 0, STATX_BASIC_STATS, &native), 0);
  EXPECT_NE(std::find(marks.seen.begin(), marks.seen.end(), native.stx_ino), marks.seen.end());
  EXPECT_TRUE(fs_->fix_attr(&native));
  const auto shown = fs_->getattr("open/file");
  EXPECT_EQ(native.stx_ino, shown->stx_ino);
  EXPECT_EQ(native.stx_nlink, 2U);
  EXPECT_EQ(native.stx_dev_minor, 0x80001U);
  Attr foreign{};
  ASSERT_EQ(statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &foreign), 0);
  EXPECT_FALSE(fs_->fix_attr(&foreign));
  // A part of the tree shows the same objects by its own names.
  auto part = fs_->subtree("open");
  ASSERT_TRUE(part.ok());
  EXPECT_EQ((*part)->reverse(plan->host), "file");
  EXPECT_EQ((*part)->getattr("file")->stx_ino, shown->stx_ino);
  const auto closed = look("closed", owner_);
  EXPECT_EQ((*part)->reverse(closed->host), std::nullopt);
  auto file = fs_->subtree("open/file");
  EXPECT_EQ((*file)->reverse(plan->host), "");
  EXPECT_EQ((*file)->plan_open("", {}, owner_)->host, plan->host);
  EXPECT_EQ(fs_->subtree("nope").error(), ENOENT);
}

TEST_F(ImageFsTest, AttributesOfFilesAreReadWithoutTheirContent) {
  mount(tree());
  const auto noted = look("open/file", owner_);
  ASSERT_TRUE(noted.ok());
  char value[16];
  const ssize_t n = getxattr(noted->meta_host.c_str(), "user.note", value, sizeof value);
  if (n >= 0) {
    EXPECT_EQ(std::string(value, static_cast<size_t>(n)), "noted");
  }  // else the directory of the test has no such attributes
  EXPECT_NE(access(noted->host.c_str(), F_OK), 0);
  const auto plain = look("open/run", owner_);
  EXPECT_EQ(listxattr(plain->meta_host.c_str(), nullptr, 0), 0);
  EXPECT_NE(plain->meta_host, noted->meta_host);
}

TEST_F(ImageFsTest, ContentsThatNobodyHasOpenGo) {
  std::vector<MadeEntry> entries;
  for (int i = 0; i < 20; ++i)
    entries.push_back(made_file("f" + std::to_string(i), std::string(8192, 'x')));
  mount(entries, {.small = 1 << 20, .in_memory = 40'000, .on_disk = 1 << 20, .grace_ns = 0});
  const auto held = open("f0", O_RDONLY, owner_);
  ASSERT_TRUE(held.ok());
  UniqueFd fd(::open(held->host.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  const auto pinned = open("f1", O_PATH, owner_);
  const auto idle = open("f2", O_RDONLY, owner_);
  struct stat object {};
  ASSERT_EQ(::stat(idle->host.c_str(), &object), 0);
  int told = 0;
  fs_->on_removal([&](uint64_t dev, uint64_t ino) {
    if (dev != object.st_dev || ino != object.st_ino || told++ > 0) return;
    // Nobody else can have the number yet, but soon after.
    EXPECT_EQ(access(idle->host.c_str(), F_OK), 0);
  });
  for (int i = 3; i < 20; ++i) {
    const auto plan = open("f" + std::to_string(i), O_RDONLY, owner_);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(access(plan->host.c_str(), F_OK), 0);
  }
  EXPECT_LE(mounted_->stage.bytes_in_memory(), 48'000U);
  EXPECT_EQ(access(held->host.c_str(), F_OK), 0);
  EXPECT_EQ(access(pinned->host.c_str(), F_OK), 0);
  EXPECT_NE(access(idle->host.c_str(), F_OK), 0);
  EXPECT_GE(told, 1);
  EXPECT_EQ(fs_->reverse(idle->host), std::nullopt);
  // It comes back when it is wanted.
  const auto again = open("f2", O_RDONLY, owner_);
  EXPECT_EQ(again->host, idle->host);
  EXPECT_EQ(read_all(again->host).size(), 4096U);
}

TEST_F(ImageFsTest, IsConstantWhereNobodyElseShowsIt) {
  mount(tree());
  mounted_->constant = true;
  const ImageFs* fs = fs_.get();
  EXPECT_FALSE(fs->is_constant());  // `mounted_` has it, too
  const auto part_of = [fs = fs_] { return fs->subtree("open"); };
  mounted_.reset();
  EXPECT_TRUE(fs->is_constant());
  {
    const auto part = part_of();
    ASSERT_TRUE(part.ok());
    EXPECT_FALSE(fs->is_constant());
    EXPECT_FALSE(dynamic_cast<const Constant&>(**part).is_constant());
  }
  EXPECT_TRUE(fs->is_constant());
}

TEST_F(ImageFsTest, WhatCanNotBeReadLeavesNothingBehind) {
  std::string bytes = make_archive("pax", "gzip", {made_file("a", std::string(100'000, 'a'))});
  auto image = open_archive(bytes, "tar");
  ASSERT_NE(image, nullptr);
  const_cast<ArchiveIndex&>(image->index()).tree->at(2).size += 1;  // it says more than there is
  mounted_ = std::make_shared<MountedImage>(nullptr, std::move(image), host_, 0x80001,
                                            ImageStage::Limits{});
  fs_ = std::make_shared<ImageFs>(mounted_, ArchiveTree::kRoot);
  EXPECT_EQ(open("a", O_RDONLY, owner_).error(), EUCLEAN);
  EXPECT_NE(access(look("a", owner_)->host.c_str(), F_OK), 0);
  EXPECT_EQ(mounted_->stage.bytes_in_memory(), 0U);
}

}  // namespace
}  // namespace viewsh

#include "cow.h"

#include "cow_driver.h"

namespace viewsh::viewfs {
namespace {

class CowTest : public testing::Test {
 protected:
  CowTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    before_ = fingerprint(lower_);
    cow_ = std::make_unique<CowCalls>(cow_over(lower_, host_, ""));
  }
  ~CowTest() override { EXPECT_EQ(fingerprint(lower_), before_); }

  std::string names(const std::string& dir) {
    std::vector<DirEntry> entries;
    if (cow_->list(dir, &entries) != 0) return "error";
    std::vector<std::string> all;
    for (const DirEntry& e : entries) all.push_back(e.name);
    std::sort(all.begin(), all.end());
    std::string out;
    for (const std::string& name : all) out += name + " ";
    return out;
  }
  Attr attr(const std::string& path) {
    Attr out{};
    EXPECT_EQ(cow_->stat(path, &out), 0) << path;
    return out;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::string before_;
  std::unique_ptr<CowCalls> cow_;
};

TEST_F(CowTest, PurelyLowerNodesKeepTheirHostPath) {
  const auto found = cow_->fs().resolve("a", "b/2", {}, cow_->caller());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->host, lower_ + "/a/b/2");
  EXPECT_EQ(found->consumed, 3u);
  EXPECT_FALSE(found->attr_virtual);
  EXPECT_FALSE(found->in_place);
}

TEST_F(CowTest, LinksOnTheWayAreReported) {
  ASSERT_EQ(cow_->symlink("a/new", "b/c"), 0);
  const auto found = cow_->fs().resolve("", "a/new/3", {}, cow_->caller());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, Found::Kind::kLink);
  EXPECT_EQ(found->target, "b/c");
  EXPECT_EQ(found->consumed, 5u);
}

TEST_F(CowTest, RemovedAndMadeAgainStaysEmpty) {
  ASSERT_EQ(cow_->unlink("a/b/c/3"), 0);
  ASSERT_EQ(cow_->rmdir("a/b/c"), 0);
  ASSERT_EQ(cow_->unlink("a/b/2"), 0);
  ASSERT_EQ(cow_->rmdir("a/b"), 0);
  ASSERT_EQ(cow_->mkdir("a/b", 0755), 0);
  EXPECT_EQ(names("a/b"), "");
  EXPECT_EQ(names("a"), "1 b hard link ");
}

TEST_F(CowTest, RenameOfALowerDirectoryDeepAndBack) {
  ASSERT_EQ(cow_->rename("a/b", "d/e/moved", 0), 0);
  EXPECT_EQ(read_file(cow_->host("d/e/moved/c/3")), "three\n");
  EXPECT_EQ(cow_->host("d/e/moved/c/3"), lower_ + "/a/b/c/3");
  ASSERT_EQ(cow_->write("d/e/moved/c/3", O_WRONLY | O_TRUNC, 0, "new"), 0);
  ASSERT_EQ(cow_->rename("d/e/moved", "a/b", 0), 0);
  EXPECT_EQ(read_file(cow_->host("a/b/c/3")), "new");
  EXPECT_EQ(read_file(cow_->host("a/b/2")), "two\n");
  EXPECT_EQ(cow_->rename("a", "a/b/c/x", 0), EINVAL);
}

TEST_F(CowTest, InodeNumbersSurviveCopyUp) {
  const Attr before = attr("a/1");
  const int fd = open(cow_->host("a/1").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(cow_->write("a/1", O_WRONLY | O_APPEND, 0, "more"), 0);
  EXPECT_EQ(attr("a/1").stx_ino, before.stx_ino);
  EXPECT_EQ(attr("a/1").stx_dev_minor, before.stx_dev_minor);
  Attr native{};
  ASSERT_EQ(statx(AT_FDCWD, cow_->host("a/1").c_str(), 0, STATX_BASIC_STATS, &native), 0);
  EXPECT_NE(native.stx_ino, before.stx_ino);
  EXPECT_TRUE(cow_->fs().fix_attr(&native));
  EXPECT_EQ(native.stx_ino, before.stx_ino);
  close(fd);
}

TEST_F(CowTest, HardLinksStayLinkedOverCopyUp) {
  EXPECT_EQ(attr("t").stx_nlink, 3u);
  ASSERT_EQ(cow_->write("t", O_WRONLY | O_APPEND, 0, "more"), 0);
  EXPECT_EQ(read_file(cow_->host("d/hard")), "top\nmore");
  EXPECT_EQ(attr("a/hard").stx_nlink, 3u);
  ASSERT_EQ(cow_->unlink("t"), 0);
  EXPECT_EQ(attr("a/hard").stx_nlink, 2u);
  EXPECT_EQ(read_file(cow_->host("a/hard")), "top\nmore");
}

TEST_F(CowTest, HolesAndTimesSurviveCopyUp) {
  before_.clear();
  sh("truncate -s 64M " + lower_ + "/f/x && touch -d @1000000000 " + lower_ + "/f/x");
  before_ = fingerprint(lower_);
  ASSERT_EQ(cow_->chmod("f/x", 0700), 0);
  const Attr now = attr("f/x");
  EXPECT_EQ(now.stx_size, 64u << 20);
  EXPECT_LT(now.stx_blocks, 100u);
  EXPECT_EQ(now.stx_mtime.tv_sec, kOld);
  EXPECT_EQ(attr("f").stx_mtime.tv_sec, kOld);
}

TEST_F(CowTest, ReverseFindsTheViewPath) {
  ASSERT_EQ(cow_->rename("a/b", "moved", 0), 0);
  FileSystem& fs = cow_->fs();
  EXPECT_EQ(fs.reverse(lower_ + "/a/b/c/3"), "moved/c/3");
  EXPECT_EQ(fs.reverse(lower_ + "/d/e"), "d/e");
  ASSERT_EQ(cow_->unlink("d/e/4"), 0);
  EXPECT_EQ(fs.reverse(lower_ + "/d/e/4"), std::nullopt);
  ASSERT_EQ(cow_->write("d/new", O_WRONLY | O_CREAT, 0644, "x"), 0);
  EXPECT_EQ(fs.reverse(cow_->host("d/new")), "d/new");
  EXPECT_EQ(fs.reverse("/elsewhere"), std::nullopt);
}

TEST_F(CowTest, PermissionsAreTheLowersOwn) {
  before_.clear();
  sh("chmod 555 " + lower_ + "/d");
  before_ = fingerprint(lower_);
  EXPECT_EQ(cow_->write("d/new", O_WRONLY | O_CREAT, 0644, "x"), EACCES);
  EXPECT_EQ(cow_->unlink("d/hard"), EACCES);
  EXPECT_EQ(cow_->write("a/b/2", O_WRONLY, 0, "x"), EACCES);
  EXPECT_EQ(cow_->write("d/e/new", O_WRONLY | O_CREAT, 0644, "x"), 0);
  EXPECT_EQ(attr("d").stx_mode & 0777, 0555);
  EXPECT_EQ(cow_->write("d/new", O_WRONLY | O_CREAT, 0644, "x"), EACCES);
  ASSERT_EQ(cow_->chmod("d", 0755), 0);
  EXPECT_EQ(cow_->write("d/new", O_WRONLY | O_CREAT, 0644, "x"), 0);
}

TEST_F(CowTest, OthersFilesCantBeChanged) {
  auto etc = std::make_unique<CowCalls>(cow_over("/etc", host_, ""));
  EXPECT_EQ(etc->write("new", O_WRONLY | O_CREAT, 0644, "x"), EACCES);
  EXPECT_EQ(etc->write("passwd", O_WRONLY, 0, "x"), EACCES);
  EXPECT_EQ(etc->chmod("passwd", 0600), EPERM);
  EXPECT_EQ(etc->unlink("passwd"), EACCES);
  EXPECT_EQ(etc->mkdir("passwd", 0755), EEXIST);
}

TEST_F(CowTest, AnUnnamedFileGetsAName) {
  const Caller& caller = cow_->caller();
  auto plan = cow_->fs().plan_open("a", {O_TMPFILE | O_RDWR, 0644}, caller);
  ASSERT_TRUE(plan);
  const int fd = open(plan->host.c_str(), plan->flags | O_CLOEXEC, plan->mode);
  ASSERT_GE(fd, 0);
  const std::string name = "/proc/self/fd/" + std::to_string(fd);
  EXPECT_TRUE(cow_->fs().link_host(name, "a/named", caller));
  close(fd);
  EXPECT_EQ(names("a"), "1 b hard link named ");
  // One of the lower's that is open never gets a second name in the layer.
  const int lower_fd = open((lower_ + "/t").c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_TRUE(cow_->fs().link_host("/proc/self/fd/" + std::to_string(lower_fd), "t2", caller));
  close(lower_fd);
  EXPECT_NE(cow_->host("t2"), lower_ + "/t");
}

TEST_F(CowTest, AWatchedDirectorySeesALowerNameGo) {
  auto host = cow_->fs().watch("a", cow_->caller());
  ASSERT_TRUE(host);
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  ASSERT_GE(inotify_add_watch(fd, host->c_str(), IN_DELETE), 0);
  ASSERT_EQ(cow_->unlink("a/1"), 0);
  char buffer[4096];
  EXPECT_GT(read(fd, buffer, sizeof buffer), 0);
  close(fd);
}

TEST_F(CowTest, TheLowersFifoStaysTheKernelsOwn) {
  auto plan = cow_->fs().plan_open("d/fifo", {O_RDWR, 0}, cow_->caller());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->host, lower_ + "/d/fifo");
  ASSERT_EQ(cow_->chmod("d/fifo", 0600), 0);
  EXPECT_EQ(attr("d/fifo").stx_mode & 0777, 0600);
}

TEST_F(CowTest, OddNames) {
  for (const std::string name :
       {"new\nline", "back\\slash", "\xff\xfe", ".wh.x", "end ", "%", "|"}) {
    EXPECT_EQ(cow_->write("a/" + name, O_WRONLY | O_CREAT, 0644, "x"), 0);
    EXPECT_EQ(cow_->rename("a/" + name, "d/" + name, 0), 0);
    EXPECT_EQ(read_file(cow_->host("d/" + name)), "x");
  }
}

TEST_F(CowTest, ACowOverACow) {
  ASSERT_EQ(cow_->write("a/1", O_WRONLY | O_TRUNC, 0, "middle"), 0);
  ASSERT_EQ(cow_->unlink("a/b/2"), 0);
  ASSERT_EQ(cow_->rename("d/e", "e", 0), 0);
  const auto middle = describe(*cow_);
  MountRequest request;
  request.type = "cow";
  request.at = "/";
  request.below = cow_->shared();
  MountError error;
  auto top = std::make_unique<CowCalls>(mount_cow(request, host_, &error));
  EXPECT_EQ(describe(*top), middle);
  ASSERT_EQ(top->write("a/new", O_WRONLY | O_CREAT, 0644, "top"), 0);
  ASSERT_EQ(top->write("a/1", O_WRONLY | O_APPEND, 0, "top"), 0);
  ASSERT_EQ(top->chmod("a/b", 0700), 0);
  std::vector<DirEntry> entries;
  EXPECT_EQ(top->list("a/b", &entries), 0);
  EXPECT_EQ(entries.size(), 1u);
  EXPECT_EQ(read_file(top->host("a/1")), "middletop");
  ASSERT_EQ(top->rename("e", "a/b/e", 0), 0);
  EXPECT_EQ(read_file(top->host("a/b/e/4")), "four\n");
  top.reset();
  EXPECT_EQ(describe(*cow_), middle);
}

TEST_F(CowTest, ADirectoryItsOwnerCantWriteInheritsAsAnyOther) {
  ASSERT_EQ(cow_->mkdir("sg", 0755), 0);
  ASSERT_EQ(cow_->chmod("sg", 02775), 0);
  ASSERT_EQ(cow_->mkdir("sg/locked", 0500), 0);
  EXPECT_EQ(attr("sg/locked").stx_mode, S_IFDIR | S_ISGID | 0500);
  ASSERT_EQ(cow_->rmdir("sg/locked"), 0);
  ASSERT_EQ(cow_->rmdir("sg"), 0);
}

/// acl(5) as the kernel has it: user::rwx user:4308:rwx group::--- mask::rwx other::---
std::string acl_of_two() {
  struct Entry {
    uint16_t tag, perm;
    uint32_t id;
  };
  const uint32_t none = ~0u;
  const Entry entries[] = {{1, 7, none}, {2, 7, 4308}, {4, 0, none}, {16, 7, none}, {32, 0, none}};
  const uint32_t version = 2;
  std::string out(reinterpret_cast<const char*>(&version), sizeof version);
  out.append(reinterpret_cast<const char*>(entries), sizeof entries);
  return out;
}

TEST_F(CowTest, AnAclSetsTheModeOfADirectoryAndNeedsNoWritePermission) {
  FileSystem& fs = cow_->fs();
  const Caller self{.uid = geteuid(), .gid = getegid()};
  ASSERT_EQ(cow_->chmod("a", 0710), 0);
  const auto set = fs.setxattr("a", "system.posix_acl_access", acl_of_two(), 0, self);
  if (!set && set.error() == EOPNOTSUPP) GTEST_SKIP() << "no ACLs here";
  ASSERT_TRUE(set);
  EXPECT_EQ(attr("a").stx_mode, S_IFDIR | 0770);
  ASSERT_EQ(cow_->chmod("a/1", 0444), 0);
  ASSERT_TRUE(fs.setxattr("a/1", "system.posix_acl_access", acl_of_two(), 0, self));
  ASSERT_EQ(cow_->chmod("a/1", 0444), 0);
  EXPECT_TRUE(fs.removexattr("a/1", "system.posix_acl_access", self));
}

TEST_F(CowTest, EntriesHaveTheNumbersOfTheirNodes) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(cow_->write("a/n" + std::to_string(i), O_WRONLY | O_CREAT, 0644, "x"), 0);
  }
  ASSERT_EQ(cow_->write("a/1", O_WRONLY | O_APPEND, 0, "x"), 0);
  std::vector<DirEntry> entries;
  ASSERT_EQ(cow_->list("a", &entries), 0);
  EXPECT_GT(entries.size(), 20u);
  for (const DirEntry& e : entries) EXPECT_EQ(e.ino, attr("a/" + e.name).stx_ino) << e.name;
}

TEST_F(CowTest, WhatIsKnownToBeNewStillHidesWhatItReplaces) {
  // The position of a new name is known to have nothing below; it must not go along with the node.
  ASSERT_EQ(cow_->write("new", O_WRONLY | O_CREAT, 0644, "x"), 0);
  ASSERT_EQ(cow_->rename("new", "a/1", 0), 0);
  ASSERT_EQ(cow_->unlink("a/1"), 0);
  Attr gone{};
  EXPECT_EQ(cow_->stat("a/1", &gone), ENOENT);
  ASSERT_EQ(cow_->write("new", O_WRONLY | O_CREAT, 0644, "x"), 0);
  ASSERT_EQ(cow_->rename("new", "f/x", RENAME_EXCHANGE), 0);
  ASSERT_EQ(cow_->unlink("f/x"), 0);
  ASSERT_EQ(cow_->unlink("new"), 0);
  EXPECT_EQ(cow_->stat("f/x", &gone), ENOENT);
  EXPECT_EQ(cow_->stat("new", &gone), ENOENT);
}

/// A lower with another file system of the host at "d".
class TwoDevices final : public PlainFs, public std::enable_shared_from_this<TwoDevices> {
 public:
  using PlainFs::PlainFs;
  Result<Attr> getattr(const std::string& path) override {
    auto attr = PlainFs::getattr(path);
    if (attr && (path == "d" || path.rfind("d/", 0) == 0)) attr->stx_dev_minor += 1000;
    return attr;
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string&) override {
    return std::shared_ptr<FileSystem>(shared_from_this());
  }
};

TEST_F(CowTest, NothingMovesBetweenFileSystems) {
  MountRequest request;
  request.type = "cow";
  request.at = "/";
  request.below = std::make_shared<TwoDevices>(lower_);
  MountError error;
  CowCalls two(mount_cow(request, host_, &error));
  ASSERT_EQ(two.mkdir("a/made", 0755), 0);
  ASSERT_EQ(two.mkdir("d/made", 0755), 0);
  ASSERT_EQ(two.write("f/new", O_WRONLY | O_CREAT, 0644, "x"), 0);
  EXPECT_EQ(two.rename("a/1", "d/1", 0), EXDEV);
  EXPECT_EQ(two.rename("f/new", "d/made/new", 0), EXDEV);
  EXPECT_EQ(two.rename("d/e", "a/e", 0), EXDEV);
  EXPECT_EQ(two.rename("a/1", "d/e/4", RENAME_EXCHANGE), EXDEV);
  EXPECT_EQ(two.link("f/new", "d/new"), EXDEV);
  EXPECT_EQ(two.rename("f/new", "a/made/new", 0), 0);
  EXPECT_EQ(two.rename("d/e/4", "d/made/4", 0), 0);
  EXPECT_EQ(two.rename("d/made", "d/e/made", 0), 0);
  EXPECT_EQ(two.link("d/e/made/4", "d/four"), 0);
}

TEST_F(CowTest, OpenObjectsOfTheLowerTellTheView) {
  const auto seen = [&](const std::string& name) {
    Attr out{};
    EXPECT_EQ(statx(AT_FDCWD, (lower_ + "/" + name).c_str(), 0, STATX_BASIC_STATS, &out), 0);
    (void)cow_->fs().fix_attr(&out);
    return out;
  };
  ASSERT_EQ(cow_->chmod("f/x", 0600), 0);
  EXPECT_EQ(seen("f/x").stx_mode, S_IFREG | 0600);
  ASSERT_EQ(cow_->rename("f/x", "moved", 0), 0);
  ASSERT_EQ(cow_->chmod("moved", 0640), 0);
  EXPECT_EQ(seen("f/x").stx_mode, S_IFREG | 0640);
  ASSERT_EQ(cow_->unlink("moved"), 0);
  EXPECT_EQ(seen("f/x").stx_nlink, 0u);
  ASSERT_EQ(cow_->unlink("a/b/2"), 0);
  EXPECT_EQ(seen("a/b/2").stx_nlink, 0u);
  ASSERT_EQ(cow_->rename("a/1", "d/e/4", 0), 0);
  EXPECT_EQ(seen("d/e/4").stx_nlink, 0u);
  EXPECT_EQ(seen("a/1").stx_nlink, 1u);
  ASSERT_EQ(cow_->rmdir("d/empty"), 0);
  EXPECT_EQ(seen("d/empty").stx_nlink, 0u);
  for (const char* name : {"t", "d/hard"}) ASSERT_EQ(cow_->unlink(name), 0);
  EXPECT_EQ(seen("t").stx_nlink, 1u);
  ASSERT_EQ(cow_->unlink("a/hard"), 0);
  EXPECT_EQ(seen("t").stx_nlink, 0u);
}

TEST_F(CowTest, AModeOfTheViewsIsAskedForReading) {
  if (geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  const Caller& caller = cow_->caller();
  ASSERT_EQ(cow_->chmod("a", 0), 0);
  const auto found = cow_->fs().resolve("", "a", {}, caller);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->attr_virtual);
  EXPECT_EQ(cow_->fs().plan_open("a", {O_RDONLY | O_DIRECTORY, 0}, caller).error(), Errno(EACCES));
  EXPECT_EQ(cow_->fs().resolve("a", "1", {}, caller).error(), Errno(EACCES));
  EXPECT_EQ(cow_->unlink("a/1"), EACCES);
}

TEST_F(CowTest, AnEphemeralLayerGoes) {
  ASSERT_EQ(cow_->mkdir("new", 0755), 0);
  cow_.reset();
  EXPECT_NE(access((temp_.path() + "/scratch-cow1").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace viewsh::viewfs

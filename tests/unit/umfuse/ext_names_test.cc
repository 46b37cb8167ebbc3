#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>

#include "ext_fixture.h"

namespace viewsh {
namespace {

class ExtNames : public ExtTest {
 protected:
  WritableImage::NewNode dir_node() {
    WritableImage::NewNode node;
    node.mode = 0755;
    return node;
  }
  static uint64_t links(ExtImage* image, NodeId node) { return image->getattr(node)->stx_nlink; }
};

TEST_F(ExtNames, ErrorsAreThoseOfTheCalls) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  Opened image = open(file);
  const NodeId root = image->root();
  const NodeId dir = *image->mkdir(root, "dir", dir_node());
  const NodeId full = *image->mkdir(root, "full", dir_node());
  const NodeId plain = put(image.image.get(), full, "plain", "x");
  EXPECT_EQ(image->lookup(root, "none").error(), ENOENT);
  EXPECT_EQ(image->lookup(plain, "x").error(), ENOTDIR);
  EXPECT_EQ(image->lookup(root, std::string(256, 'x')).error(), ENAMETOOLONG);
  EXPECT_EQ(image->lookup(99999999, "x").error(), ESTALE);
  EXPECT_EQ(image->getattr(8).error(), ESTALE);
  EXPECT_EQ(image->mkdir(root, "dir", dir_node()).error(), EEXIST);
  EXPECT_EQ(image->mkdir(root, "a/b", dir_node()).error(), EINVAL);
  EXPECT_EQ(image->mknod(root, std::string(256, 'x'), file_node()).error(), ENAMETOOLONG);
  EXPECT_TRUE(image->mknod(root, std::string(255, 'x'), file_node()));
  EXPECT_EQ(image->rmdir(root, "full").error(), ENOTEMPTY);
  EXPECT_EQ(image->rmdir(full, "plain").error(), ENOTDIR);
  EXPECT_EQ(image->unlink(root, "dir").error(), EISDIR);
  EXPECT_EQ(image->link(dir, root, "hard").error(), EPERM);
  EXPECT_EQ(image->symlink(root, "link", "", {}).error(), ENOENT);
  EXPECT_EQ(image->rename(root, "full", dir, "x", 8).error(), EINVAL);
  EXPECT_TRUE(image->rename(root, "dir", full, "dir", 0));
  EXPECT_EQ(image->rename(root, "full", dir, "inside", 0).error(), EINVAL);
  EXPECT_EQ(image->rename(root, "full", root, "full", 0).error(), 0);
  EXPECT_EQ(image->rename(root, "full", full, "plain", 0).error(), EINVAL);
  EXPECT_EQ(image->rename(full, "dir", full, "plain", 0).error(), ENOTDIR);
  EXPECT_EQ(image->rename(full, "plain", full, "dir", 0).error(), EISDIR);
  EXPECT_EQ(image->rename(full, "plain", full, "dir", RENAME_NOREPLACE).error(), EEXIST);
  EXPECT_EQ(image->rename(full, "plain", full, "none", RENAME_EXCHANGE).error(), ENOENT);
  EXPECT_EQ(image->readlink(dir).error(), EINVAL);
  EXPECT_EQ(image->list(plain).error(), ENOTDIR);
  close(&image, file);
}

TEST_F(ExtNames, NodesHaveWhatTheyWereMadeWith) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  Opened image = open(file);
  WritableImage::NewNode node;
  node.uid = 100000;
  node.gid = 200000;
  for (const dev_t device : {makedev(8, 1), makedev(259, 70000)}) {
    node.mode = S_IFBLK | 0660;
    node.rdev = device;
    const std::string name = "dev" + std::to_string(major(device));
    const auto made = image->mknod(image->root(), name, node);
    ASSERT_TRUE(made);
    const auto attr = image->getattr(*made);
    EXPECT_EQ(makedev(attr->stx_rdev_major, attr->stx_rdev_minor), device);
    EXPECT_EQ(attr->stx_mode, S_IFBLK | 0660);
    EXPECT_EQ(attr->stx_uid, 100000u);
    EXPECT_EQ(attr->stx_gid, 200000u);
  }
  const NodeId plain = put(image.image.get(), image->root(), "plain", "x");
  SetAttr set;
  for (const int64_t second : {-2000000000L, 0L, 4000000000L, 15000000000L}) {
    set.mtime = timespec{second, 123456789};
    ASSERT_TRUE(image->setattr(plain, set));
    const auto attr = image->getattr(plain);
    EXPECT_EQ(attr->stx_mtime.tv_sec, second);
    EXPECT_EQ(attr->stx_mtime.tv_nsec, 123456789u);
    EXPECT_NE(attr->stx_btime.tv_sec, 0);
  }
  close(&image, file);
  EXPECT_NE(run({"debugfs", "-R", "stat dev259", file}).output.find("259:70000"),
            std::string::npos);
}

TEST_F(ExtNames, ExchangedDirectoriesHaveTheirParents) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  Opened image = open(file);
  const NodeId root = image->root();
  const NodeId a = *image->mkdir(root, "a", dir_node());
  const NodeId b = *image->mkdir(root, "b", dir_node());
  ASSERT_TRUE(image->mkdir(a, "dir", dir_node()));
  put(image.image.get(), b, "file", "x");
  EXPECT_EQ(links(image.image.get(), a), 3u);
  ASSERT_TRUE(image->rename(a, "dir", b, "file", RENAME_EXCHANGE));
  EXPECT_EQ(links(image.image.get(), a), 2u);
  EXPECT_EQ(links(image.image.get(), b), 3u);
  close(&image, file);
}

/// Made here, made by e2fsck -D with an index, and changed again.
TEST_F(ExtNames, AHundredThousandNames) {
  const std::string file = make("image", 128, {"-t", "ext4", "-N", "120000"});
  const int count = 100000;
  const auto name = [](int i) { return "name_of_a_file_" + std::to_string(i); };
  {
    Opened image = open(file);
    const NodeId dir = *image->mkdir(image->root(), "many", dir_node());
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) ASSERT_TRUE(image->mknod(dir, name(i), file_node()));
    ASSERT_TRUE(image->sync());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    RecordProperty("creates_per_second", static_cast<int>(count / took.count()));
    for (int i = 0; i < count; i += 7) ASSERT_TRUE(image->lookup(dir, name(i)));
    EXPECT_EQ(image->list(dir)->size(), static_cast<size_t>(count));
    for (int i = 0; i < count; i += 2) ASSERT_TRUE(image->unlink(dir, name(i)));
    EXPECT_EQ(image->list(dir)->size(), static_cast<size_t>(count / 2));
    close(&image, file);
  }
  ASSERT_LE(run({"e2fsck", "-fyD", file}).status, 1);
  EXPECT_NE(run({"debugfs", "-R", "stat many", file}).output.find("Flags: 0x81000"),
            std::string::npos);
  Opened image = open(file);
  const NodeId dir = at(image.image.get(), "many");
  EXPECT_EQ(image->list(dir)->size(), static_cast<size_t>(count / 2));
  for (int i = 1; i < 100; i += 2) ASSERT_TRUE(image->unlink(dir, name(i)));
  ASSERT_TRUE(image->rename(dir, name(101), dir, name(103), 0));
  ASSERT_TRUE(image->sync());
  const uint32_t index = 0x1000;
  EXPECT_NE(image->getflags(dir)->flags & index, 0u);  // an index without some names is still one
  for (int i = 0; i < 2000; i += 2) ASSERT_TRUE(image->mknod(dir, name(i), file_node()));
  EXPECT_EQ(image->getflags(dir)->flags & index, 0u);
  EXPECT_EQ(image->list(dir)->size(), static_cast<size_t>(count / 2 - 51 + 1000));
  close(&image, file);
}

TEST_F(ExtNames, MoreSubdirectoriesThanLinks) {
  const std::string file =
      make("image", 400, {"-t", "ext4", "-b", "1024", "-N", "80000", "-m", "0"});
  Opened image = open(file);
  const NodeId dir = *image->mkdir(image->root(), "many", dir_node());
  for (int i = 0; i < 65100; ++i) {
    ASSERT_TRUE(image->mkdir(dir, std::to_string(i), dir_node())) << i;
  }
  EXPECT_EQ(links(image.image.get(), dir), 1u);
  ASSERT_TRUE(image->rmdir(dir, "7"));
  close(&image, file);
}

TEST_F(ExtNames, HeldNodesOutliveTheirNames) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  uint64_t free = 0;
  {
    Opened image = open(file);
    free = image->statfs()->f_bfree;
    NodeId nodes[3];
    for (int i = 0; i < 3; ++i) {
      const std::string name = std::to_string(i);
      nodes[i] = put(image.image.get(), image->root(), name, pattern(100000, 1));
      ASSERT_TRUE(image->hold(nodes[i]));
      ASSERT_TRUE(image->unlink(image->root(), name));
    }
    const auto nameless = image->make_nameless(image->root(), file_node());
    ASSERT_TRUE(nameless);
    ASSERT_TRUE(image->pwrite(*nameless, "abc", 3, 0));
    ASSERT_TRUE(image->sync());
    EXPECT_EQ(get(image.image.get(), nodes[1]), pattern(100000, 1));
    ASSERT_TRUE(image->release(nodes[1]));
    EXPECT_EQ(image->getattr(nodes[1]).error(), ESTALE);
    ASSERT_TRUE(image->link(*nameless, image->root(), "named"));
    ASSERT_TRUE(image->release(*nameless));
    ASSERT_TRUE(image->sync());
    // The power goes.
  }
  {
    Opened image = open(file);
    EXPECT_EQ(image.why, "");
    EXPECT_EQ(get(image.image.get(), at(image.image.get(), "named")), "abc");
    EXPECT_EQ(image->statfs()->f_bfree, free - 1);
    const NodeId again = put(image.image.get(), image->root(), "again", pattern(5000, 2));
    ASSERT_TRUE(image->hold(again));
    ASSERT_TRUE(image->unlink(image->root(), "again"));
    close(&image, file);  // closes with a held node
  }
  Opened image = open(file);
  EXPECT_EQ(image->statfs()->f_bfree, free - 1);
}

TEST_F(ExtNames, OrphansWithoutAJournal) {
  const std::string file = make("image", 16, {"-t", "ext2"});
  Opened image = open(file);
  const NodeId node = put(image.image.get(), image->root(), "file", pattern(50000, 1));
  const uint64_t free = image->statfs()->f_bfree;
  ASSERT_TRUE(image->hold(node));
  ASSERT_TRUE(image->unlink(image->root(), "file"));
  ASSERT_TRUE(image->sync());
  image.image.reset();
  Opened again = open(file);
  EXPECT_GT(again->statfs()->f_bfree, free);
  ASSERT_TRUE(again->close());
  again.image.reset();
  expect_clean(file);
}

/// As a kernel leaves them: the inode's number in the file of orphans.
TEST_F(ExtNames, OrphansInAFile) {
  const std::string file =
      make("image", 16, {"-t", "ext4", "-b", "1024", "-O", "orphan_file,^metadata_csum"});
  Opened image = open(file);
  const uint64_t free = image->statfs()->f_bfree;
  const auto node =
      static_cast<uint32_t>(put(image.image.get(), image->root(), "file", pattern(50000, 1)));
  close(&image, file);
  const auto debugfs = [&](const std::string& request) {
    return run({"debugfs", "-w", "-R", request, file}).output;
  };
  const std::string head = run({"dumpe2fs", "-h", file}).output;
  const std::string key = "Orphan file inode:";
  ASSERT_NE(head.find(key), std::string::npos) << head;
  const int orphans = std::atoi(head.c_str() + head.find(key) + key.size());
  const std::string said = debugfs("bmap <" + std::to_string(orphans) + "> 0");
  const off_t block = std::atoi(said.c_str() + said.find('\n') + 1);
  ASSERT_GT(block, 0) << said;
  debugfs("unlink file");
  debugfs("sif <" + std::to_string(node) + "> links_count 0");
  debugfs("feature orphan_present");
  {
    UniqueFd fd(::open(file.c_str(), O_RDWR));
    ASSERT_EQ(::pwrite(fd.get(), &node, sizeof node, block * 1024), 4);
  }
  image = open(file);
  EXPECT_EQ(image.why, "");
  EXPECT_EQ(image->statfs()->f_bfree, free);
  close(&image, file);
}

TEST_F(ExtNames, FlagsAreObeyed) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  Opened image = open(file);
  const uint32_t immutable = 0x10;
  const uint32_t append = 0x20;
  const NodeId root = image->root();
  const NodeId node = put(image.image.get(), root, "file", "abc");
  const uint32_t flags = image->getflags(node)->flags;
  ASSERT_TRUE(image->setflags(node, {flags | immutable, 0}));
  EXPECT_EQ(image->pwrite(node, "x", 1, 0).error(), EPERM);
  EXPECT_EQ(image->unlink(root, "file").error(), EPERM);
  EXPECT_EQ(image->rename(root, "file", root, "other", 0).error(), EPERM);
  EXPECT_EQ(image->link(node, root, "other").error(), EPERM);
  EXPECT_EQ(image->setattr(node, {}).error(), EPERM);
  EXPECT_EQ(image->setxattr(node, "user.x", "y", 0).error(), EPERM);
  ASSERT_TRUE(image->setflags(node, {flags | append, 0}));
  EXPECT_EQ(image->pwrite(node, "x", 1, 0).error(), EPERM);
  EXPECT_TRUE(image->pwrite(node, "d", 1, 3));
  SetAttr shorter;
  shorter.size = 0;
  EXPECT_EQ(image->setattr(node, shorter).error(), EPERM);
  SetAttr when;
  when.mtime = timespec{1000, 0};
  EXPECT_TRUE(image->setattr(node, when));  // who may do that is asked before
  ASSERT_TRUE(image->setflags(node, {flags, 0}));
  EXPECT_EQ(image->setflags(node, {flags | 0x40000000, 0}).error(), EOPNOTSUPP);
  const uint32_t extents = 0x80000;
  ASSERT_TRUE(image->setflags(node, {flags ^ extents, 0}));
  EXPECT_EQ(image->getflags(node)->flags, flags ^ extents);
  EXPECT_EQ(get(image.image.get(), node), "abcd");
  ASSERT_TRUE(image->setflags(node, {flags, 0}));
  EXPECT_EQ(get(image.image.get(), node), "abcd");
  close(&image, file);
}

TEST_F(ExtNames, Attributes) {
  for (const std::string size : {"128", "256", "512"}) {
    const std::string file = make("image", 16, {"-t", "ext4", "-b", "4096", "-I", size});
    {
      Opened image = open(file);
      const NodeId node = put(image.image.get(), image->root(), "file", "abc");
      EXPECT_EQ(image->getxattr(node, "user.none").error(), ENODATA);
      EXPECT_EQ(image->getxattr(node, "system.data").error(), EOPNOTSUPP);
      EXPECT_EQ(image->removexattr(node, "user.none").error(), ENODATA);
      EXPECT_EQ(image->setxattr(node, "user.a", "1", XATTR_REPLACE).error(), ENODATA);
      EXPECT_TRUE(image->setxattr(node, "user.a", "1", XATTR_CREATE));
      EXPECT_EQ(image->setxattr(node, "user.a", "1", XATTR_CREATE).error(), EEXIST);
      EXPECT_TRUE(image->setxattr(node, "user.empty", "", 0));
      EXPECT_TRUE(image->setxattr(node, "trusted.b", pattern(1500, 1), 0));
      EXPECT_TRUE(image->setxattr(node, "security.c", pattern(2000, 2), 0));
      EXPECT_EQ(image->setxattr(node, "user.d", pattern(3000, 2), 0).error(), ENOSPC);
      EXPECT_EQ(image->setxattr(node, "user.d", pattern(5000, 2), 0).error(), ENOSPC);
      EXPECT_EQ(image->listxattr(node)->size(), 4u);
      EXPECT_TRUE(image->removexattr(node, "trusted.b"));
      close(&image, file);
    }
    EXPECT_NE(run({"debugfs", "-R", "ea_list file", file}).output.find("user.a"),
              std::string::npos);
    Opened image = open(file);
    const NodeId node = at(image.image.get(), "file");
    EXPECT_EQ(*image->getxattr(node, "security.c"), pattern(2000, 2));
    EXPECT_EQ(*image->getxattr(node, "user.empty"), "");
    EXPECT_TRUE(image->unlink(image->root(), "file"));
    close(&image, file);
  }
}

TEST_F(ExtNames, AttributesWhereThereWereNone) {
  for (const std::string revision : {"0", "1"}) {
    const std::string file = make("image", 8, {"-t", "ext2", "-r", revision, "-O", "none"});
    Opened image = open(file);
    const NodeId node = put(image.image.get(), image->root(), "file", "abc");
    EXPECT_EQ(image->listxattr(node)->size(), 0u);
    EXPECT_EQ(image->getxattr(node, "user.a").error(), ENODATA);
    EXPECT_EQ(image->removexattr(node, "user.a").error(), ENODATA);
    const auto set = image->setxattr(node, "user.a", "value", 0);
    EXPECT_EQ(set.error(), revision == "0" ? EOPNOTSUPP : 0);
    if (set) {
      EXPECT_EQ(*image->getxattr(node, "user.a"), "value");
    }
    close(&image, file);
  }
}

/// Entries of tag, permissions and id; acl(5).
struct AclEntry {
  char tag;
  char bits;
  uint32_t id = 0xffffffff;
};
std::string acl_of(const std::vector<AclEntry>& entries) {
  std::string acl("\2\0\0\0", 4);
  for (const AclEntry& entry : entries) {
    acl += {entry.tag, 0, entry.bits, 0};
    acl.append(reinterpret_cast<const char*>(&entry.id), sizeof entry.id);
  }
  return acl;
}

TEST_F(ExtNames, DefaultAccessControlLists) {
  for (const std::string size : {"128", "256"}) {
    const std::string file = make("image", 16, {"-t", "ext4", "-I", size});
    Opened image = open(file);
    const std::string standard = acl_of({{1, 7}, {2, 6, 1000}, {4, 7}, {16, 6}, {32, 0}});
    const NodeId root = image->root();
    WritableImage::NewNode any = file_node(0777);
    const NodeId dir = *image->mkdir(root, "dir", any);
    ASSERT_TRUE(image->setxattr(dir, "system.posix_acl_default", standard, 0));
    any.mode = S_IFREG | 0646;
    const NodeId made = *image->mknod(dir, "file", any);
    EXPECT_EQ(image->getattr(made)->stx_mode, S_IFREG | 0640);
    EXPECT_EQ(*image->getxattr(made, "system.posix_acl_access"),
              acl_of({{1, 6}, {2, 6, 1000}, {4, 7}, {16, 4}, {32, 0}}));
    EXPECT_EQ(image->getxattr(made, "system.posix_acl_default").error(), ENODATA);
    any.mode = 0755;
    const NodeId sub = *image->mkdir(dir, "sub", any);
    EXPECT_EQ(image->getattr(sub)->stx_mode, S_IFDIR | 0740);
    EXPECT_EQ(*image->getxattr(sub, "system.posix_acl_default"), standard);
    EXPECT_TRUE(image->symlink(dir, "link", "x", any));
    // What a mode can say is one.
    ASSERT_TRUE(
        image->setxattr(sub, "system.posix_acl_default", acl_of({{1, 6}, {4, 6}, {32, 4}}), 0));
    any.mode = S_IFREG | 0666;
    const NodeId plain = *image->mknod(sub, "plain", any);
    EXPECT_EQ(image->getattr(plain)->stx_mode, S_IFREG | 0664);
    EXPECT_EQ(image->getxattr(plain, "system.posix_acl_access").error(), ENODATA);
    close(&image, file);
  }
}

/// u::rw-,u:1000:r--,g::r--,m::r--,o::---
TEST_F(ExtNames, AccessControlLists) {
  const std::string file = make("image", 16, {"-t", "ext4"});
  Opened image = open(file);
  const NodeId node = put(image.image.get(), image->root(), "file", "abc");
  const std::string acl = acl_of({{1, 6}, {2, 4, 1000}, {4, 4}, {16, 4}, {32, 0}});
  ASSERT_TRUE(image->setxattr(node, "system.posix_acl_access", acl, 0));
  EXPECT_EQ(image->getattr(node)->stx_mode, S_IFREG | 0640);
  EXPECT_EQ(*image->getxattr(node, "system.posix_acl_access"), acl);
  SetAttr set;
  set.mode = 0700;
  ASSERT_TRUE(image->setattr(node, set));
  std::string changed = acl;
  changed[6] = 7;
  changed[30] = 0;
  EXPECT_EQ(*image->getxattr(node, "system.posix_acl_access"), changed);
  EXPECT_EQ(image->setxattr(node, "system.posix_acl_access", "nonsense", 0).error(), EOPNOTSUPP);
  EXPECT_EQ(image->setxattr(node, "system.posix_acl_default", acl, 0).error(), EACCES);
  // What a mode says as well isn't kept.
  const std::string plain = acl_of({{1, 6}, {4, 4}, {32, 4}});
  ASSERT_TRUE(image->setxattr(node, "system.posix_acl_access", plain, 0));
  EXPECT_EQ(image->getxattr(node, "system.posix_acl_access").error(), ENODATA);
  EXPECT_EQ(image->getattr(node)->stx_mode, S_IFREG | 0644);
  close(&image, file);
}

}  // namespace
}  // namespace viewsh

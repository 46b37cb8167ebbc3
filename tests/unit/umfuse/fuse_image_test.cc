// FuseImage with a server that says what the test wants: versions, caches, and operations that
// aren't there.
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "fuse_image_fixture.h"

namespace viewsh {
namespace {

TEST_F(FuseImageTest, OffersWhatAVersionKnows) {
  FuseOptions options;
  options.minor = 12;
  start(options);
  ASSERT_TRUE(image_->ready());
  const FuseReceived& request = server_->seen.at(0);
  EXPECT_EQ(request.header.opcode, static_cast<uint32_t>(FUSE_INIT));
  EXPECT_EQ(request.body.size(), 16u);
  const auto in = request.as<fuse_init_in>();
  EXPECT_EQ(in.minor, 12u);
  EXPECT_EQ(in.flags & (FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS), 0u);
  EXPECT_EQ(image_->session().minor(), 12u);
}

TEST_F(FuseImageTest, TakesTheServersVersionAndLimits) {
  init_.major = 7;
  init_.minor = 19;
  init_.max_write = 1 << 30;
  init_.flags = FUSE_BIG_WRITES;
  on[FUSE_INIT] = [this](const FuseReceived& request) {
    return std::vector{
        ScriptedServer::reply(request.header.unique, std::string(fuse_bytes(init_).substr(0, 24)))};
  };
  start();
  ASSERT_TRUE(image_->ready());
  EXPECT_EQ(image_->session().minor(), 19u);
  EXPECT_EQ(image_->session().max_write(), 128u << 10);
  EXPECT_FALSE(image_->session().has(FUSE_DO_READDIRPLUS));
}

TEST_F(FuseImageTest, SmallWritesForServersThatKnowNoBigOnes) {
  init_.major = 7;
  init_.minor = 38;
  init_.max_write = 0;
  start();
  ASSERT_TRUE(image_->ready());
  EXPECT_EQ(image_->session().max_write(), 4096u);
}

TEST_F(FuseImageTest, AnInterruptLeavesTheStartAsItIs) {
  start();
  server_->script = nullptr;
  server_->interrupts = {Errno(EINTR)};
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "x").error(), EINTR);
  EXPECT_EQ(server_->count(FUSE_INTERRUPT), 0u);
  server_->send(ScriptedServer::reply_with(server_->seen.at(0).header.unique, init_));
  server_->script = [this](const FuseReceived& request) { return answer(request); };
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "x").error(), ENOENT);
  EXPECT_EQ(server_->count(FUSE_INIT), 1u);
}

TEST_F(FuseImageTest, NamesAndAttributesCountForTheirTime) {
  start();
  fuse_entry_out out = entry(5, S_IFREG | 0644, 10);
  has_name("never", out);
  out.nodeid = 6;
  out.entry_valid = 1000;
  out.attr_valid = 1000;
  has_name("long", out);
  fuse_entry_out none = {};
  none.entry_valid = 1000;
  has_name("absent", none);
  says(FUSE_GETATTR, attr_out(S_IFREG | 0600, 20));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(look("never"), 5u);
    EXPECT_EQ(image_->getattr(5)->stx_size, 20u);
    EXPECT_EQ(look("long"), 6u);
    EXPECT_EQ(image_->getattr(6)->stx_size, 10u);
    EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "absent").error(), ENOENT);
  }
  EXPECT_EQ(server_->count(FUSE_LOOKUP), 4u);
  EXPECT_EQ(server_->count(FUSE_GETATTR), 2u);
  EXPECT_EQ(image_->getattr(6)->stx_ino, 77u);
}

TEST_F(FuseImageTest, NotificationsEndTheTime) {
  start();
  fuse_entry_out out = entry(6, S_IFREG | 0644, 10);
  out.entry_valid = 1000;
  out.attr_valid = UINT64_MAX;
  has_name("f", out);
  look("f");
  const auto notify = [&](int code, const std::string& payload) {
    fuse_out_header header = {static_cast<uint32_t>(16 + payload.size()), code, 0};
    server_->send(std::string(fuse_bytes(header)) + payload);
    image_->channel().pump();
  };
  says(FUSE_GETATTR, attr_out(S_IFREG | 0600, 20));
  const fuse_notify_inval_inode_out inode = {6, 0, 0};
  notify(FUSE_NOTIFY_INVAL_INODE, std::string(fuse_bytes(inode)));
  EXPECT_EQ(image_->getattr(6)->stx_size, 20u);
  look("f");
  EXPECT_EQ(server_->count(FUSE_LOOKUP), 1u);
  const fuse_notify_inval_entry_out name = {1, 1, 0};
  notify(FUSE_NOTIFY_INVAL_ENTRY, std::string(fuse_bytes(name)) + std::string("f\0", 2));
  look("f");
  EXPECT_EQ(server_->count(FUSE_LOOKUP), 2u);
  const fuse_notify_retrieve_out retrieve = {99, 6, 5, 10, 0};
  notify(FUSE_NOTIFY_RETRIEVE, std::string(fuse_bytes(retrieve)));
  server_->serve();
  ASSERT_EQ(server_->count(FUSE_NOTIFY_REPLY), 1u);
  EXPECT_EQ(server_->seen.back().header.unique, 99u);
}

TEST_F(FuseImageTest, LookUpsAreCountedAndGivenBack) {
  start();
  has_name("a", entry(5, S_IFREG | 0644));
  has_name("b", entry(6, S_IFREG | 0644));
  for (int i = 0; i < 3; ++i) look("a");
  look("b");
  EXPECT_EQ(image_->known_nodes(), 3u);
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 3u);
  EXPECT_EQ(image_->getattr(5).error(), ESTALE);
  image_->forget_but(0);
  EXPECT_EQ(forgotten(6), 1u);
  look("a");
  ASSERT_TRUE(image_->close());
  EXPECT_EQ(forgotten(5), 4u);
  EXPECT_EQ(server_->count(FUSE_DESTROY), 1u);
}

TEST_F(FuseImageTest, WhatComesTooLateIsGivenBack) {
  start();
  has_name("a", entry(5, S_IFREG | 0644));
  look("a");
  server_->script = nullptr;
  server_->interrupts = {Errno(EINTR), Errno(EINTR)};
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "new").error(), EINTR);
  const uint64_t lookup = server_->seen.back().header.unique;
  std::string buffer(10, '\0');
  EXPECT_EQ(image_->pread(5, buffer.data(), 10, 0).error(), EINTR);
  uint64_t open = 0;
  for (const FuseReceived& one : server_->seen) {
    if (one.header.opcode == FUSE_OPEN) open = one.header.unique;
  }
  server_->send(ScriptedServer::reply_with(lookup & ~1ULL, entry(8, S_IFREG)));
  server_->send(ScriptedServer::reply_with(open, fuse_open_out{3, 0, 0}));
  image_->channel().pump();
  EXPECT_EQ(forgotten(8), 1u);
  ASSERT_EQ(server_->count(FUSE_RELEASE), 1u);
  EXPECT_EQ(server_->seen.back().as<fuse_release_in>().fh, 3u);
  EXPECT_EQ(image_->known_nodes(), 2u);
}

TEST_F(FuseImageTest, WhatIsLackingIsAskedForOnce) {
  start();
  has_name("f", entry(5, S_IFREG | 0644));
  look("f");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(image_->getxattr(5, "user.x").error(), EOPNOTSUPP);
    EXPECT_EQ(image_->setxattr(5, "user.x", "v", 0).error(), EOPNOTSUPP);
    EXPECT_EQ(image_->removexattr(5, "user.x").error(), EOPNOTSUPP);
    EXPECT_EQ(image_->listxattr(5).error(), EOPNOTSUPP);
    EXPECT_EQ(image_->fallocate(5, 0, 0, 10).error(), EOPNOTSUPP);
    EXPECT_EQ(image_->seek(5, 0, SEEK_DATA).error(), EOPNOTSUPP);
    EXPECT_EQ(image_->make_nameless(image_->root(), file()).error(), EOPNOTSUPP);
    EXPECT_TRUE(image_->access(5, R_OK));
    EXPECT_TRUE(image_->hold(5));
    EXPECT_TRUE(image_->release(5));
    EXPECT_EQ(image_->rename(FUSE_ROOT_ID, "f", FUSE_ROOT_ID, "g", RENAME_NOREPLACE).error(),
              EINVAL);
  }
  for (const uint32_t opcode :
       {FUSE_GETXATTR, FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_LISTXATTR, FUSE_FALLOCATE, FUSE_LSEEK,
        FUSE_TMPFILE, FUSE_ACCESS, FUSE_OPEN, FUSE_FLUSH, FUSE_RENAME2}) {
    EXPECT_EQ(server_->count(opcode), 1u) << opcode;
  }
  EXPECT_EQ(server_->count(FUSE_RELEASE), 0u);
  // What has no substitute is asked for each time.
  EXPECT_EQ(image_->statfs().error(), ENOSYS);
  EXPECT_EQ(image_->readlink(5).error(), EINVAL);
  EXPECT_EQ(image_->list(FUSE_ROOT_ID).error(), ENOSYS);
}

TEST_F(FuseImageTest, ReadsWithoutOpen) {
  start();
  has_name("f", entry(5, S_IFREG | 0644, 3));
  look("f");
  says_bytes(FUSE_READ, "abc");
  says(FUSE_GETATTR, attr_out(S_IFREG | 0644, 3));
  std::string buffer(10, '\0');
  EXPECT_EQ(*image_->pread(5, buffer.data(), 10, 0), 3u);
  EXPECT_EQ(buffer.substr(0, 3), "abc");
  EXPECT_EQ(server_->count(FUSE_RELEASE), 0u);
}

TEST_F(FuseImageTest, SyncsWhatWasChanged) {
  start();
  has_name("f", entry(5, S_IFREG | 0644, 3));
  look("f");
  says(FUSE_OPEN, fuse_open_out{3, 0, 0});
  says(FUSE_OPENDIR, fuse_open_out{4, 0, 0});
  says(FUSE_WRITE, fuse_write_out{2, 0});
  says(FUSE_MKDIR, entry(6, S_IFDIR | 0755));
  for (const uint32_t opcode : {FUSE_FLUSH, FUSE_FSYNC, FUSE_FSYNCDIR}) says_bytes(opcode, "");
  EXPECT_TRUE(image_->sync());
  EXPECT_EQ(server_->count(FUSE_SYNCFS), 0u);
  ASSERT_TRUE(image_->pwrite(5, "ab", 2, 0));
  ASSERT_TRUE(image_->mkdir(FUSE_ROOT_ID, "d", {S_IFDIR | 0755, 0, 0, 0}));
  fails(FUSE_SYNCFS, EIO);
  EXPECT_EQ(image_->sync().error(), EIO);
  on.erase(FUSE_SYNCFS);
  EXPECT_TRUE(image_->sync());
  EXPECT_TRUE(image_->sync());
  EXPECT_EQ(server_->count(FUSE_SYNCFS), 2u);
  EXPECT_EQ(server_->count(FUSE_FSYNC), 1u);
  EXPECT_EQ(server_->count(FUSE_FSYNCDIR), 1u);
  // What fails is tried again; what nobody can open isn't.
  ASSERT_TRUE(image_->pwrite(5, "ab", 2, 0));
  fails(FUSE_FSYNC, ENOSPC);
  EXPECT_EQ(image_->sync().error(), ENOSPC);
  EXPECT_EQ(image_->sync().error(), ENOSPC);
  fails(FUSE_OPEN, EACCES);
  EXPECT_TRUE(image_->sync());
  EXPECT_EQ(server_->count(FUSE_FSYNC), 3u);
}

TEST_F(FuseImageTest, TheErrorOfCloseIsTold) {
  start();
  has_name("f", entry(5, S_IFREG | 0644, 3));
  look("f");
  says(FUSE_OPEN, fuse_open_out{3, 0, 0});
  says(FUSE_WRITE, fuse_write_out{2, 0});
  fails(FUSE_FLUSH, EDQUOT);
  EXPECT_EQ(image_->pwrite(5, "ab", 2, 0).error(), EDQUOT);
  ASSERT_TRUE(image_->hold(5));
  EXPECT_TRUE(image_->pwrite(5, "ab", 2, 0));
  EXPECT_EQ(image_->release(5).error(), EDQUOT);
  says(FUSE_OPEN, fuse_open_out{3, FOPEN_NOFLUSH, 0});
  EXPECT_TRUE(image_->pwrite(5, "ab", 2, 0));
}

TEST_F(FuseImageTest, MakesAFileWithoutAName) {
  start();
  const fuse_entry_out made = entry(9, S_IFREG | 0600);
  const fuse_open_out open = {3, 0, 0};
  says_bytes(FUSE_TMPFILE, std::string(fuse_bytes(made)) + std::string(fuse_bytes(open)));
  says(FUSE_WRITE, fuse_write_out{2, 0});
  const auto node = image_->make_nameless(image_->root(), file());
  ASSERT_TRUE(node);
  EXPECT_TRUE(image_->pwrite(*node, "ab", 2, 0));
  EXPECT_EQ(server_->count(FUSE_OPEN), 0u);
  EXPECT_TRUE(image_->release(*node));
  EXPECT_EQ(image_->release(*node).error(), EINVAL);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_RELEASE), 1u);
}

TEST_F(FuseImageTest, HeldFilesAreOpenedForWritingWhereThatMayBe) {
  start();
  has_name("f", entry(5, S_IFREG | 0444, 3));
  look("f");
  on[FUSE_OPEN] = [](const FuseReceived& request) {
    const uint64_t unique = request.header.unique;
    if ((request.as<fuse_open_in>().flags & O_ACCMODE) != O_RDONLY) {
      return std::vector{ScriptedServer::reply(unique, "", EACCES)};
    }
    return std::vector{ScriptedServer::reply_with(unique, fuse_open_out{3, 0, 0})};
  };
  says_bytes(FUSE_READ, "abc");
  ASSERT_TRUE(image_->hold(5));
  std::string buffer(3, '\0');
  EXPECT_EQ(*image_->pread(5, buffer.data(), 3, 0), 3u);
  EXPECT_EQ(server_->count(FUSE_OPEN), 2u);
  EXPECT_EQ(image_->pwrite(5, "x", 1, 0).error(), EACCES);
}

/// What somebody has open says nothing to who asks by a path that is closed to him.
TEST_F(FuseImageTest, AttributesByPathAreNotAskedForByAnothersHandle) {
  start();
  has_name("f", entry(5, S_IFREG | 0644, 3));
  look("f");
  says(FUSE_OPEN, fuse_open_out{3, 0, 0});
  ASSERT_TRUE(image_->opens(5, O_RDONLY));
  on[FUSE_GETATTR] = [](const FuseReceived& request) {
    const uint64_t unique = request.header.unique;
    if ((request.as<fuse_getattr_in>().getattr_flags & FUSE_GETATTR_FH) == 0)
      return std::vector{ScriptedServer::reply(unique, "", EACCES)};
    return std::vector{ScriptedServer::reply_with(unique, attr_out(S_IFREG | 0644, 7))};
  };
  EXPECT_EQ(image_->getattr(5).error(), EACCES);
  EXPECT_EQ(image_->getattr_open(5)->stx_size, 7u);
  image_->closed(5);
  EXPECT_EQ(image_->getattr_open(5).error(), EACCES);
}

TEST_F(FuseImageTest, CreateBecomesMknod) {
  start();
  says(FUSE_MKNOD, entry(9, S_IFREG | 0644));
  EXPECT_EQ(*image_->mknod(FUSE_ROOT_ID, "a", file()), 9u);
  EXPECT_EQ(*image_->mknod(FUSE_ROOT_ID, "b", file()), 9u);
  EXPECT_EQ(server_->count(FUSE_CREATE), 1u);
  EXPECT_EQ(server_->count(FUSE_MKNOD), 2u);
  const FuseReceived& request = server_->seen.back();
  EXPECT_EQ(request.header.uid, 1u);
  EXPECT_EQ(request.header.gid, 2u);
  EXPECT_EQ(request.name(sizeof(fuse_mknod_in)), "b");
}

TEST_F(FuseImageTest, OldVersionsHaveShorterStructures) {
  init_.major = 7;
  init_.minor = 8;
  init_.max_write = 65536;
  on[FUSE_INIT] = [this](const FuseReceived& request) {
    return std::vector{
        ScriptedServer::reply(request.header.unique, std::string(fuse_bytes(init_).substr(0, 24)))};
  };
  const fuse_entry_out out = entry(5, S_IFREG | 0644, 12);
  says_bytes(FUSE_LOOKUP, std::string(fuse_bytes(out).substr(0, FUSE_COMPAT_ENTRY_OUT_SIZE)));
  const fuse_attr_out attrs = attr_out(S_IFREG | 0644, 13);
  says_bytes(FUSE_GETATTR, std::string(fuse_bytes(attrs).substr(0, FUSE_COMPAT_ATTR_OUT_SIZE)));
  says(FUSE_WRITE, fuse_write_out{2, 0});
  start();
  EXPECT_EQ(look("f"), 5u);
  EXPECT_EQ(image_->getattr(5)->stx_size, 13u);
  EXPECT_TRUE(server_->seen.back().body.empty());
  EXPECT_EQ(*image_->pwrite(5, "ab", 2, 7), 2u);
  for (const FuseReceived& one : server_->seen) {
    if (one.header.opcode != FUSE_WRITE) continue;
    EXPECT_EQ(one.body.size(), FUSE_COMPAT_WRITE_IN_SIZE + 2u);
    EXPECT_EQ(one.body.substr(FUSE_COMPAT_WRITE_IN_SIZE), "ab");
  }
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 1u);
  EXPECT_EQ(server_->count(FUSE_BATCH_FORGET), 0u);
}

TEST_F(FuseImageTest, ListsPlain) {
  start();
  listing({{0, dirent(1, 1, ".") + dirent(1, 2, "..") + dirent(5, 3, "a")},
           {3, dirent(6, 4, "b") + dirent(5, 5, "a")}});
  const auto got = image_->list(FUSE_ROOT_ID);
  ASSERT_TRUE(got) << got.error().message();
  ASSERT_EQ(got->size(), 2u);
  EXPECT_EQ((*got)[0].name, "a");
  EXPECT_EQ((*got)[1].ino, 6u);
  EXPECT_EQ((*got)[1].type, NodeType::kRegular);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_RELEASEDIR), 1u);
}

TEST_F(FuseImageTest, ListingsWithAttributesCountLookUps) {
  start();
  says(FUSE_OPENDIR, fuse_open_out{9, 0, 0});
  on[FUSE_READDIRPLUS] = [](const FuseReceived& request) {
    std::string out;
    if (request.as<fuse_read_in>().offset == 0) {
      fuse_entry_out good = entry(5, S_IFREG | 0644, 3);
      good.entry_valid = 1000;
      out = std::string(fuse_bytes(good)) + dirent(5, 1, "good");
      const fuse_entry_out none = {};
      out += std::string(fuse_bytes(none)) + dirent(6, 2, "none");
      const fuse_entry_out bad = entry(7, 0);
      out += std::string(fuse_bytes(bad)) + dirent(7, 3, "bad");
    }
    return std::vector{ScriptedServer::reply(request.header.unique, out)};
  };
  EXPECT_EQ(image_->list(FUSE_ROOT_ID)->size(), 3u);
  EXPECT_EQ(look("good"), 5u);
  EXPECT_EQ(server_->count(FUSE_LOOKUP), 0u);
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 1u);
  EXPECT_EQ(forgotten(7), 1u);
}

}  // namespace
}  // namespace viewsh

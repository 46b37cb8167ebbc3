// FuseImage with a server that says what the test wants: versions, caches, operations that aren't
// there, and what no server should say.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "fuse_fixture.h"

namespace viewsh {
namespace {

class FuseImageTest : public FuseScripted {
 protected:
  static fuse_attr_out attr_out(mode_t mode, uint64_t size = 0) {
    fuse_attr_out out = {};
    out.attr = attr(mode, size);
    return out;
  }
  NodeId look(const std::string& name) {
    const auto found = image_->lookup(FUSE_ROOT_ID, name);
    EXPECT_TRUE(found) << found.error().message();
    return found ? *found : 0;
  }
  /// The number of look-ups that were given back for a node.
  uint64_t forgotten(uint64_t node) {
    server_->serve();
    uint64_t count = 0;
    for (const FuseReceived& one : server_->seen) {
      if (one.header.opcode == FUSE_FORGET && one.header.nodeid == node) {
        count += one.as<fuse_forget_in>().nlookup;
      }
      if (one.header.opcode != FUSE_BATCH_FORGET) continue;
      const auto in = one.as<fuse_batch_forget_in>();
      for (uint32_t i = 0; i < in.count; ++i) {
        fuse_forget_one each;
        EXPECT_TRUE(fuse_get(one.body, sizeof in + i * sizeof each, &each));
        if (each.nodeid == node) count += each.nlookup;
      }
    }
    return count;
  }
  static std::string dirent(uint64_t ino, uint64_t offset, const std::string& name,
                            uint32_t length = 0) {
    std::string out;
    out.append(fuse_bytes(ino)).append(fuse_bytes(offset));
    const auto real = static_cast<uint32_t>(name.size());
    const uint32_t said = length != 0 ? length : real;
    const uint32_t type = DT_REG;
    out.append(fuse_bytes(said)).append(fuse_bytes(type)).append(name);
    out.resize(FUSE_REC_ALIGN(out.size()), '\0');
    return out;
  }
  /// What READDIR says at each offset; READDIRPLUS isn't there.
  void listing(std::map<uint64_t, std::string> replies) {
    fails(FUSE_READDIRPLUS, ENOSYS);
    says(FUSE_OPENDIR, fuse_open_out{9, 0, 0});
    on[FUSE_READDIR] = [replies](const FuseReceived& request) {
      const auto found = replies.find(request.as<fuse_read_in>().offset);
      return std::vector{ScriptedServer::reply(request.header.unique,
                                               found == replies.end() ? "" : found->second)};
    };
  }
  static WritableImage::NewNode file() { return {S_IFREG | 0644, 1, 2, 0}; }
};

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

TEST_F(FuseImageTest, VersionsThatCannotBeAreRefused) {
  for (const auto& [major, minor] : {std::pair{6u, 38u}, {8u, 0u}, {7u, 3u}}) {
    init_ = {};
    init_.major = major;
    init_.minor = minor;
    on[FUSE_INIT] = [this](const FuseReceived& request) {
      return std::vector{ScriptedServer::reply_with(request.header.unique, init_)};
    };
    start();
    EXPECT_EQ(image_->ready().error(), EPROTO) << major;
    EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "x").error(), EPROTO);
  }
  says_bytes(FUSE_INIT, "1234");
  start();
  EXPECT_EQ(image_->ready().error(), EIO);
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

TEST_F(FuseImageTest, EntriesThatCannotBeAreEio) {
  start();
  has_name("root", entry(1, S_IFDIR | 0755));
  has_name("type", entry(5, 0));
  has_name("huge", entry(6, S_IFREG, 1ULL << 63));
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "root").error(), EIO);
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "type").error(), EIO);
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "huge").error(), EIO);
  EXPECT_EQ(forgotten(5), 1u);
  EXPECT_EQ(forgotten(6), 1u);
  EXPECT_EQ(image_->known_nodes(), 1u);
  says(FUSE_MKDIR, entry(7, S_IFREG | 0644));
  EXPECT_EQ(image_->mkdir(FUSE_ROOT_ID, "d", {S_IFDIR | 0755, 0, 0, 0}).error(), EIO);
  EXPECT_EQ(forgotten(7), 1u);
  says(FUSE_MKDIR, entry(0, S_IFDIR | 0755));
  EXPECT_EQ(image_->mkdir(FUSE_ROOT_ID, "d", {S_IFDIR | 0755, 0, 0, 0}).error(), EIO);
  says_bytes(FUSE_MKDIR, "short");
  EXPECT_EQ(image_->mkdir(FUSE_ROOT_ID, "d", {S_IFDIR | 0755, 0, 0, 0}).error(), EIO);
}

TEST_F(FuseImageTest, ADirectoryInItselfIsALoop) {
  start();
  has_name("a", entry(5, S_IFDIR | 0755));
  has_name("b", entry(6, S_IFDIR | 0755));
  look("a");
  EXPECT_EQ(*image_->lookup(5, "b"), 6u);
  EXPECT_EQ(image_->lookup(6, "b").error(), ELOOP);
  EXPECT_EQ(image_->lookup(6, "a").error(), ELOOP);
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 0u);
  image_->forget(6);
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 2u);
  EXPECT_EQ(forgotten(6), 2u);
}

TEST_F(FuseImageTest, ANodeThatChangesItsTypeIsBad) {
  start();
  has_name("f", entry(5, S_IFREG | 0644));
  look("f");
  says(FUSE_GETATTR, attr_out(S_IFDIR | 0755));
  EXPECT_EQ(image_->getattr(5).error(), EIO);
  says(FUSE_GETATTR, attr_out(S_IFREG | 0644));
  EXPECT_EQ(image_->getattr(5).error(), EIO);
  // A look-up makes a new one of it.
  has_name("f", entry(5, S_IFDIR | 0755));
  look("f");
  says(FUSE_GETATTR, attr_out(S_IFDIR | 0755));
  EXPECT_TRUE(image_->getattr(5));
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 2u);
  says(FUSE_GETATTR, attr_out(S_IFDIR | 0755, UINT64_MAX));
  EXPECT_EQ(image_->getattr(FUSE_ROOT_ID).error(), EIO);
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
    EXPECT_EQ(image_->make_nameless(file()).error(), EOPNOTSUPP);
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

TEST_F(FuseImageTest, ListingsThatCannotBeAreEio) {
  const std::vector<std::map<uint64_t, std::string>> all = {
      {{0, dirent(5, 1, "a/b")}},
      {{0, dirent(5, 1, std::string("a\0b", 3))}},
      {{0, dirent(5, 1, std::string(2000, 'n'))}},
      {{0, dirent(5, 1, "a", 0xffffffff)}},
      {{0, dirent(5, 1, "", 0)}},
      {{0, dirent(5, 0, "a")}},  // stays where it is
      {{0, dirent(5, 1, "a")}, {1, dirent(6, 2, "b")}, {2, dirent(6, 1, "c")}},  // goes round
      {{0, std::string(200'000, 'x')}},
  };
  for (size_t i = 0; i < all.size(); ++i) {
    on.clear();
    start();
    listing(all[i]);
    EXPECT_EQ(image_->list(FUSE_ROOT_ID).error(), EIO) << i;
  }
  // What is cut at the end is read again from there.
  on.clear();
  start();
  listing({{0, dirent(5, 1, "a") + dirent(6, 2, "bbbbbbbbbbbb").substr(0, 30)},
           {1, dirent(6, 2, "bbbbbbbbbbbb")}});
  EXPECT_EQ(image_->list(FUSE_ROOT_ID)->size(), 2u);
}

TEST_F(FuseImageTest, AListingWithoutEndEnds) {
  start();
  fails(FUSE_READDIRPLUS, ENOSYS);
  says(FUSE_OPENDIR, fuse_open_out{9, 0, 0});
  on[FUSE_READDIR] = [](const FuseReceived& request) {
    const auto in = request.as<fuse_read_in>();
    std::string out;
    while (out.size() + 1100 < in.size) {
      out += dirent(5, in.offset + out.size() + 1, std::string(1000, 'n'));
    }
    return std::vector{ScriptedServer::reply(request.header.unique, out)};
  };
  EXPECT_EQ(image_->list(FUSE_ROOT_ID).error(), EIO);
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

TEST_F(FuseImageTest, RepliesOnContentThatCannotBeAreEio) {
  start();
  has_name("f", entry(5, S_IFREG | 0644, 3));
  has_name("l", entry(6, S_IFLNK | 0777, 3));
  look("f");
  look("l");
  says(FUSE_WRITE, fuse_write_out{3, 0});
  EXPECT_EQ(image_->pwrite(5, "ab", 2, 0).error(), EIO);
  says(FUSE_WRITE, fuse_write_out{0, 0});
  EXPECT_EQ(image_->pwrite(5, "ab", 2, 0).error(), EIO);
  says_bytes(FUSE_READ, std::string(11, 'x'));
  std::string buffer(10, '\0');
  EXPECT_EQ(image_->pread(5, buffer.data(), 10, 0).error(), EIO);
  for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(4096, 'x')}) {
    says_bytes(FUSE_READLINK, text);
    EXPECT_EQ(image_->readlink(6).error(), EIO) << text.size();
  }
  for (const std::string& list :
       {std::string("a"), std::string("a\0\0", 3), std::string(1, '\0')}) {
    says_bytes(FUSE_LISTXATTR, list);
    EXPECT_EQ(image_->listxattr(5).error(), EIO);
  }
  says_bytes(FUSE_GETXATTR, std::string(70'000, 'x'));
  EXPECT_EQ(image_->getxattr(5, "user.x").error(), EIO);
  says(FUSE_LSEEK, fuse_lseek_out{3});
  EXPECT_EQ(image_->seek(5, 4, SEEK_DATA).error(), EIO);
  says(FUSE_LSEEK, fuse_lseek_out{UINT64_MAX});
  EXPECT_EQ(image_->seek(5, 4, SEEK_DATA).error(), EIO);
}

TEST_F(FuseImageTest, OtherCallsAreMadeWhileOneWaits) {
  start();
  has_name("d", entry(5, S_IFDIR | 0755));
  has_name("f", entry(6, S_IFREG | 0644, 3));
  look("d");
  look("f");
  says(FUSE_OPEN, fuse_open_out{3, 0, 0});
  says(FUSE_OPENDIR, fuse_open_out{4, 0, 0});
  says(FUSE_READ, 'x');
  const auto after = [this](uint32_t opcode, const std::function<void()>& act,
                            const std::string& payload) {
    on[opcode] = [this, opcode, act, payload](const FuseReceived& request) {
      on.erase(opcode);
      act();
      return std::vector{ScriptedServer::reply(request.header.unique, payload)};
    };
  };
  // The directory goes while it is listed.
  fails(FUSE_READDIRPLUS, ENOSYS);
  says_bytes(FUSE_RMDIR, "");
  after(
      FUSE_READDIR,
      [this] {
        EXPECT_TRUE(image_->rmdir(FUSE_ROOT_ID, "d"));
        says_bytes(FUSE_READDIR, "");
      },
      dirent(7, 1, "n"));
  EXPECT_EQ(image_->list(5)->size(), 1u);
  EXPECT_EQ(image_->getattr(5).error(), ESTALE);
  // The file is forgotten while it is opened to be held, and while it is read.
  const fuse_open_out open = {3, 0, 0};
  after(
      FUSE_OPEN, [this] { image_->forget(6); }, std::string(fuse_bytes(open)));
  EXPECT_EQ(image_->hold(6).error(), ESTALE);
  says(FUSE_OPEN, open);
  look("f");
  EXPECT_TRUE(image_->hold(6));
  after(
      FUSE_READ, [this] { EXPECT_TRUE(image_->release(6)); }, "abc");
  std::string buffer(10, '\0');
  EXPECT_EQ(*image_->pread(6, buffer.data(), 10, 0), 3u);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_OPEN), 2u);
  EXPECT_EQ(server_->count(FUSE_RELEASE), 2u);
  // The same name is removed twice.
  says_bytes(FUSE_UNLINK, "");
  after(
      FUSE_UNLINK,
      [this] {
        says_bytes(FUSE_UNLINK, "");
        EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
        look("f");
      },
      "");
  EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
  EXPECT_EQ(*image_->lookup(FUSE_ROOT_ID, "f"), 6u);
}

class FuseExtract : public FuseImageTest {
 protected:
  Result<void> extract(uint64_t size) {
    FuseOptions options;
    options.max_unknown = 1 << 20;
    start(options);
    has_name("f", entry(5, S_IFREG | 0644, size));
    says(FUSE_GETATTR, attr_out(S_IFREG | 0644, size));
    look("f");
    fd_ = UniqueFd(::memfd_create("extracted", MFD_CLOEXEC));
    return image_->extract(5, fd_.get());
  }
  std::string content() {
    struct stat st;
    EXPECT_EQ(::fstat(fd_.get(), &st), 0);
    std::string text(static_cast<size_t>(st.st_size), '\0');
    EXPECT_EQ(::pread(fd_.get(), text.data(), text.size(), 0), st.st_size);
    return text;
  }
  /// Reads give parts of this.
  void has_content(const std::string& text, size_t at_most = SIZE_MAX) {
    on[FUSE_READ] = [text, at_most](const FuseReceived& request) {
      const auto in = request.as<fuse_read_in>();
      const std::string part = in.offset >= text.size()
                                   ? ""
                                   : text.substr(in.offset, std::min<size_t>(in.size, at_most));
      return std::vector{ScriptedServer::reply(request.header.unique, part)};
    };
  }
  UniqueFd fd_;
};

TEST_F(FuseExtract, ASizeOfZeroIsNotBelieved) {
  has_content("the content of a file as in proc");
  ASSERT_TRUE(extract(0));
  EXPECT_EQ(content(), "the content of a file as in proc");
}

TEST_F(FuseExtract, DirectReadsGoOnToTheEnd) {
  says(FUSE_OPEN, fuse_open_out{1, FOPEN_DIRECT_IO, 0});
  has_content(std::string(1000, 'x') + "end", 7);
  ASSERT_TRUE(extract(5));
  EXPECT_EQ(content(), std::string(1000, 'x') + "end");
}

TEST_F(FuseExtract, AShortReadIsTheEnd) {
  has_content("short");
  ASSERT_TRUE(extract(1000));
  EXPECT_EQ(content(), "short");
}

TEST_F(FuseExtract, AContentWithoutEndEnds) {
  on[FUSE_READ] = [](const FuseReceived& request) {
    return std::vector{ScriptedServer::reply(request.header.unique,
                                             std::string(request.as<fuse_read_in>().size, '\0'))};
  };
  EXPECT_EQ(extract(0).error(), EFBIG);
  EXPECT_EQ(extract(INT64_MAX).error(), EFBIG);
}

TEST_F(FuseExtract, HolesAreNotRead) {
  constexpr uint64_t kSize = 1ULL << 40;
  on[FUSE_LSEEK] = [](const FuseReceived& request) {
    const auto in = request.as<fuse_lseek_in>();
    const uint64_t unique = request.header.unique;
    if (in.whence == SEEK_HOLE) {
      return std::vector{ScriptedServer::reply_with(unique, fuse_lseek_out{in.offset + 4096})};
    }
    if (in.offset > 4096) return std::vector{ScriptedServer::reply(unique, "", ENXIO)};
    return std::vector{ScriptedServer::reply_with(unique, fuse_lseek_out{8192})};
  };
  on[FUSE_READ] = [](const FuseReceived& request) {
    return std::vector{ScriptedServer::reply(request.header.unique,
                                             std::string(request.as<fuse_read_in>().size, 'd'))};
  };
  ASSERT_TRUE(extract(kSize));
  EXPECT_EQ(server_->count(FUSE_READ), 1u);
  struct stat st;
  ASSERT_EQ(::fstat(fd_.get(), &st), 0);
  EXPECT_EQ(st.st_size, static_cast<off_t>(kSize));
}

TEST_F(FuseExtract, ASeekThatGoesNowhereIsNotFollowed) {
  says(FUSE_LSEEK, fuse_lseek_out{0});
  has_content("content");
  ASSERT_TRUE(extract(7));
  EXPECT_EQ(content(), "content");
}

}  // namespace
}  // namespace viewsh

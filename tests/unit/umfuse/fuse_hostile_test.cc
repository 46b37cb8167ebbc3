// FuseImage with a server that says what no server should, and calls that get in each other's way.
#include <climits>

#include "fuse_image_fixture.h"

namespace viewsh {
namespace {

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

/// A server that does something else before it answers, once.
class FuseMeanwhile : public FuseImageTest {
 protected:
  void SetUp() override {
    start();
    has_name("d", entry(5, S_IFDIR | 0755));
    has_name("f", entry(6, S_IFREG | 0644, 3));
    look("d");
    look("f");
    says(FUSE_OPEN, open_);
    says(FUSE_OPENDIR, open_);
    for (const uint32_t opcode : {FUSE_RMDIR, FUSE_UNLINK, FUSE_READDIR}) says_bytes(opcode, "");
    fails(FUSE_READDIRPLUS, ENOSYS);
  }
  void after(uint32_t opcode, const std::function<void()>& act, const std::string& payload) {
    const Answer before = on[opcode];
    on[opcode] = [this, opcode, act, payload, before](const FuseReceived& request) {
      on[opcode] = before;
      act();
      return std::vector{ScriptedServer::reply(request.header.unique, payload)};
    };
  }
  const fuse_open_out open_ = {3, 0, 0};
};

TEST_F(FuseMeanwhile, ADirectoryGoesWhileItIsListed) {
  after(
      FUSE_READDIR, [this] { EXPECT_TRUE(image_->rmdir(FUSE_ROOT_ID, "d")); }, dirent(7, 1, "n"));
  EXPECT_EQ(image_->list(5)->size(), 1u);
  EXPECT_EQ(image_->getattr(5).error(), ESTALE);
}

TEST_F(FuseMeanwhile, AFileIsForgottenWhileItIsOpened) {
  after(
      FUSE_OPEN, [this] { image_->forget(6); }, std::string(fuse_bytes(open_)));
  EXPECT_EQ(image_->hold(6).error(), ESTALE);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_RELEASE), 1u);
}

TEST_F(FuseMeanwhile, AFileIsReleasedWhileItIsRead) {
  says(FUSE_READ, 'x');
  EXPECT_TRUE(image_->hold(6));
  after(
      FUSE_READ, [this] { EXPECT_TRUE(image_->release(6)); }, "abc");
  std::string buffer(10, '\0');
  EXPECT_EQ(*image_->pread(6, buffer.data(), 10, 0), 3u);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_OPEN), 1u);
  EXPECT_EQ(server_->count(FUSE_RELEASE), 1u);
}

TEST_F(FuseMeanwhile, ANameIsRemovedTwice) {
  after(
      FUSE_UNLINK,
      [this] {
        EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
        look("f");
      },
      "");
  EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
  EXPECT_TRUE(image_->hold(6));
}

}  // namespace
}  // namespace viewsh

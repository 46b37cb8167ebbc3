// Requests that the threads of a server must not get at the same time.
#include <fcntl.h>

#include "fuse_image_fixture.h"

namespace viewsh {
namespace {

class FuseOrder : public FuseImageTest {
 protected:
  /// File 5, "f", was open; what the server says to FUSE_RELEASE is kept.
  void release_late(const FuseOptions& options = {}) {
    start(options);
    has_name("f", entry(5, S_IFREG | 0644));
    says(FUSE_OPEN, fuse_open_out{3, 0, 0});
    says_bytes(FUSE_UNLINK, "");
    says_bytes(FUSE_RENAME, "");
    on[FUSE_RELEASE] = [this](const FuseReceived& request) {
      late_ = ScriptedServer::reply(request.header.unique);
      return std::vector<std::string>{};
    };
    look("f");
    ASSERT_TRUE(image_->opens(5, O_RDONLY));
    image_->closed(5);
    server_->serve();
    ASSERT_EQ(server_->count(FUSE_RELEASE), 1u);
  }
  void answer_release() {
    server_->send(late_);
    image_->channel().pump();
  }
  std::string late_;
};

TEST_F(FuseOrder, WhatIsBeingReleasedIsForgottenAfterwards) {
  release_late();
  image_->forget(5);
  EXPECT_EQ(forgotten(5), 0u);
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "other").error(), ENOENT);
  EXPECT_EQ(forgotten(5), 0u);
  answer_release();
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "other").error(), ENOENT);
  EXPECT_EQ(forgotten(5), 1u);
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "other").error(), ENOENT);
  EXPECT_EQ(forgotten(5), 1u);
}

/// libfuse would give what is open another name. Nobody hangs at a server that never answers that,
/// when there is a signal for him.
TEST_F(FuseOrder, ASignalEndsTheWaitForARelease) {
  release_late();
  server_->interrupts = {Errno(EAGAIN)};
  EXPECT_EQ(image_->channel().waiting(), 1u);
  EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
  EXPECT_TRUE(server_->interrupts.empty());
  EXPECT_EQ(server_->count(FUSE_UNLINK), 1u);
  EXPECT_EQ(server_->count(FUSE_INTERRUPT), 0u);
}

/// What a rename replaces is unlinked, too.
TEST_F(FuseOrder, SoDoesARename) {
  release_late();
  has_name("g", entry(6, S_IFREG | 0644));
  server_->interrupts = {Errno(EAGAIN)};
  EXPECT_TRUE(image_->rename(FUSE_ROOT_ID, "g", FUSE_ROOT_ID, "f", 0));
  EXPECT_TRUE(server_->interrupts.empty());
}

/// Whoever is in the middle of a request has the node still: another one's unlink(2) isn't the end
/// of it for the server.
TEST_F(FuseOrder, WhatIsAskedForIsForgottenAfterwards) {
  start();
  has_name("f", entry(5, S_IFREG | 0644));
  says_bytes(FUSE_UNLINK, "");
  look("f");
  on[FUSE_GETATTR] = [this](const FuseReceived& request) {
    EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
    EXPECT_EQ(forgotten(5), 0u);
    return std::vector{
        ScriptedServer::reply_with(request.header.unique, attr_out(S_IFREG | 0644, 1))};
  };
  EXPECT_EQ(image_->getattr(5).error(), ESTALE);
  EXPECT_EQ(image_->lookup(FUSE_ROOT_ID, "other").error(), ENOENT);
  EXPECT_EQ(forgotten(5), 2u);
}

/// The reply to a look-up that comes after that to a removal, or a change, may have been made
/// before.
TEST_F(FuseOrder, WhatIsOlderThanAChangeIsNoNews) {
  start();
  fuse_entry_out out = entry(5, S_IFREG | 0644, 10);
  out.attr_valid = out.entry_valid = 1000;
  has_name("f", out);
  look("f");
  says_bytes(FUSE_UNLINK, "");
  fuse_attr_out changed = attr_out(S_IFREG | 0600, 10);
  changed.attr_valid = 1000;
  says(FUSE_SETATTR, changed);
  SetAttr mode;
  mode.mode = 0600;
  int asked = 0;
  on[FUSE_LOOKUP] = [&](const FuseReceived& request) {
    if (++asked == 1) {
      EXPECT_TRUE(image_->setattr(5, mode));
    }
    return std::vector{ScriptedServer::reply_with(request.header.unique, out)};
  };
  EXPECT_EQ(*image_->lookup(FUSE_ROOT_ID, "g"), 5u);
  EXPECT_EQ(image_->getattr(5)->stx_mode & 07777, 0600);
  EXPECT_EQ(server_->count(FUSE_GETATTR), 0u);
  on[FUSE_LOOKUP] = [&](const FuseReceived& request) {
    if (++asked == 2) {
      EXPECT_TRUE(image_->unlink(FUSE_ROOT_ID, "f"));
    }
    return std::vector{ScriptedServer::reply_with(request.header.unique, out)};
  };
  EXPECT_TRUE(image_->lookup(FUSE_ROOT_ID, "h"));
  EXPECT_TRUE(image_->lookup(FUSE_ROOT_ID, "h"));
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(image_->lookup(FUSE_ROOT_ID, "h"));
  EXPECT_EQ(asked, 3);
}

/// fuse_conn_destroy(): but for a block device all that a server hears is the end.
TEST_F(FuseOrder, AtTheEndNothingIsForgottenOrDestroyed) {
  FuseOptions options;
  options.destroys = false;
  release_late(options);
  EXPECT_TRUE(image_->close());
  EXPECT_EQ(forgotten(5), 0u);
  EXPECT_EQ(server_->count(FUSE_DESTROY), 0u);
}

}  // namespace
}  // namespace viewsh

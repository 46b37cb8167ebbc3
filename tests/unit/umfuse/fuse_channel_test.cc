// Requests and replies over the socket: what a server does right, wrong, late and never.
#include "fuse_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>

#include "fuse_fixture.h"

namespace viewsh {
namespace {

class Listening : public FuseListener {
 public:
  void inval_inode(uint64_t node, int64_t offset, int64_t length) override {
    say("inode " + std::to_string(node) + " " + std::to_string(offset) + " " +
        std::to_string(length));
  }
  void inval_entry(uint64_t parent, std::string_view name, bool expire) override {
    say("entry " + std::to_string(parent) + " " + std::string(name) + (expire ? " expire" : ""));
  }
  void deleted(uint64_t parent, uint64_t child, std::string_view name) override {
    say("delete " + std::to_string(parent) + " " + std::to_string(child) + " " + std::string(name));
  }
  void store(uint64_t node, uint64_t offset, std::string_view data) override {
    say("store " + std::to_string(node) + " " + std::to_string(offset) + " " + std::string(data));
  }
  void retrieve(uint64_t unique, uint64_t node, uint64_t offset, uint32_t size) override {
    say("retrieve " + std::to_string(unique) + " " + std::to_string(node) + " " +
        std::to_string(offset) + " " + std::to_string(size));
  }
  void poll(uint64_t kh) override { say("poll " + std::to_string(kh)); }
  void late(uint32_t opcode, uint64_t node, std::string_view payload) override {
    say("late " + std::to_string(opcode) + " " + std::to_string(node) + " " + std::string(payload));
  }
  std::vector<std::string> said;

 private:
  void say(const std::string& what) { said.push_back(what); }
};

class FuseChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pair = FuseChannel::make_pair();
    ASSERT_TRUE(pair);
    channel_ = std::make_unique<FuseChannel>(std::move(pair->first));
    server_ = std::make_unique<ScriptedServer>(std::move(pair->second));
    channel_->listen(&listener_);
  }
  /// A request with a payload of `least` to `most` in its reply.
  Result<std::string> ask(size_t least = 0, size_t most = 100) {
    return channel_->call({.opcode = FUSE_GETATTR,
                           .node = 5,
                           .who = who_,
                           .parts = {"ab", "cd"},
                           .least = least,
                           .most = most},
                          server_.get());
  }
  /// The reply to each request is these packets.
  void script(std::function<std::vector<std::string>(uint64_t)> packets) {
    server_->script = [packets](const FuseReceived& request) {
      if (request.header.opcode == FUSE_INTERRUPT) return std::vector<std::string>();
      return packets(request.header.unique);
    };
  }
  static std::string header(uint32_t size, int32_t error, uint64_t unique) {
    const fuse_out_header out = {size, error, unique};
    return std::string(fuse_bytes(out));
  }
  void notify(int32_t code, const std::string& payload) {
    server_->send(header(static_cast<uint32_t>(16 + payload.size()), code, 0) + payload);
    channel_->pump();
  }

  FuseWho who_ = {11, 22, 33};
  Listening listener_;
  std::unique_ptr<FuseChannel> channel_;
  std::unique_ptr<ScriptedServer> server_;
};

TEST_F(FuseChannelTest, SendsAHeaderAndTheParts) {
  script([](uint64_t unique) { return std::vector{ScriptedServer::reply(unique, "answer")}; });
  EXPECT_EQ(*ask(), "answer");
  ASSERT_EQ(server_->seen.size(), 1u);
  const FuseReceived& request = server_->seen[0];
  EXPECT_EQ(request.header.opcode, static_cast<uint32_t>(FUSE_GETATTR));
  EXPECT_EQ(request.header.nodeid, 5u);
  EXPECT_EQ(request.header.uid, 11u);
  EXPECT_EQ(request.header.gid, 22u);
  EXPECT_EQ(request.header.pid, 33u);
  EXPECT_EQ(request.body, "abcd");
  EXPECT_EQ(channel_->waiting(), 0u);
}

TEST_F(FuseChannelTest, RepliesComeInAnyOrder) {
  const uint64_t first = channel_->post({.opcode = FUSE_GETATTR, .node = 1, .most = 10});
  const uint64_t second = channel_->post({.opcode = FUSE_GETATTR, .node = 2, .most = 10});
  EXPECT_NE(first, second);
  server_->send(ScriptedServer::reply(second, "two"));
  server_->send(ScriptedServer::reply(first, "one"));
  EXPECT_FALSE(channel_->done(first));
  channel_->pump();
  EXPECT_TRUE(channel_->done(first));
  EXPECT_EQ(*channel_->collect(first), "one");
  EXPECT_EQ(*channel_->collect(second), "two");
}

TEST_F(FuseChannelTest, ErrorsAreTheServers) {
  script([](uint64_t unique) { return std::vector{ScriptedServer::reply(unique, "", EDQUOT)}; });
  EXPECT_EQ(ask().error(), EDQUOT);
}

TEST_F(FuseChannelTest, RepliesThatCannotBeAreEio) {
  using Bad = std::function<std::string(uint64_t)>;
  const std::vector<Bad> all = {
      [](uint64_t unique) { return header(15, 0, unique); },
      [](uint64_t unique) { return header(17, 0, unique); },
      [](uint64_t unique) { return header(0, 0, unique) + "payload"; },
      [](uint64_t unique) { return header(0xffffffff, 0, unique) + "payload"; },
      [](uint64_t unique) { return header(16, 1, unique); },
      [](uint64_t unique) { return header(16, -512, unique); },
      [](uint64_t unique) { return header(16, INT32_MIN, unique); },
      [](uint64_t unique) { return header(20, -ENOENT, unique) + "more"; },
      [](uint64_t unique) { return ScriptedServer::reply(unique, "abc"); },        // short
      [](uint64_t unique) { return ScriptedServer::reply(unique, "123456789"); },  // long
      [](uint64_t unique) { return ScriptedServer::reply(unique, std::string(200'000, 'x')); },
  };
  for (size_t i = 0; i < all.size(); ++i) {
    script([&](uint64_t unique) { return std::vector{all[i](unique)}; });
    EXPECT_EQ(ask(4, 8).error(), EIO) << i;
    EXPECT_EQ(channel_->refused(), i + 1) << i;
  }
  script([](uint64_t unique) { return std::vector{ScriptedServer::reply(unique, "12345678")}; });
  EXPECT_TRUE(ask(4, 8));
}

TEST_F(FuseChannelTest, WhatNamesNoRequestIsDropped) {
  script([](uint64_t unique) {
    return std::vector{std::string(),
                       std::string("x"),
                       std::string(15, '\0'),
                       ScriptedServer::reply(unique + 1000, "other"),
                       ScriptedServer::reply(unique | 1),
                       ScriptedServer::reply(unique, "right"),
                       ScriptedServer::reply(unique, "twice")};
  });
  EXPECT_EQ(*ask(), "right");
  channel_->pump();
  EXPECT_EQ(channel_->refused(), 6u);
  EXPECT_EQ(*ask(), "right");
}

TEST_F(FuseChannelTest, AServerThatIsGoneIsNotConnected) {
  const uint64_t waiting = channel_->post({.opcode = FUSE_GETATTR, .most = 10});
  const uint64_t answered = channel_->post({.opcode = FUSE_GETATTR, .most = 10});
  server_->send(ScriptedServer::reply(answered, "in time"));
  server_->hang_up();
  channel_->pump();
  EXPECT_TRUE(channel_->dead());
  EXPECT_EQ(channel_->collect(waiting).error(), ECONNABORTED);
  EXPECT_EQ(*channel_->collect(answered), "in time");
  EXPECT_EQ(ask().error(), ENOTCONN);
  channel_->tell({.opcode = FUSE_FORGET});
  channel_->pump();
  EXPECT_EQ(ask().error(), ENOTCONN);
}

TEST_F(FuseChannelTest, AServerThatWentUnnoticedIsNotConnected) {
  server_->hang_up();
  EXPECT_EQ(ask().error(), ENOTCONN);
}

TEST_F(FuseChannelTest, AServerThatGoesWhileItIsAskedAborts) {
  server_->script = [this](const FuseReceived&) {
    server_->hang_up();
    return std::vector<std::string>();
  };
  EXPECT_EQ(ask().error(), ECONNABORTED);
  EXPECT_EQ(ask().error(), ENOTCONN);
}

TEST_F(FuseChannelTest, NoAnswerRunsIntoTheDeadline) {
  FusePollWait wait(30);
  EXPECT_EQ(channel_->call({.opcode = FUSE_GETATTR}, &wait).error(), ETIMEDOUT);
  server_->serve();
  ASSERT_EQ(server_->seen.size(), 2u);
  EXPECT_EQ(server_->seen[1].header.opcode, static_cast<uint32_t>(FUSE_INTERRUPT));
  EXPECT_EQ(server_->seen[1].header.unique, server_->seen[0].header.unique | 1);
  EXPECT_EQ(server_->seen[1].as<fuse_interrupt_in>().unique, server_->seen[0].header.unique);
}

TEST_F(FuseChannelTest, TheAnswerToAnInterruptedRequestComesLate) {
  server_->interrupts = {Errno(EINTR)};
  EXPECT_EQ(ask().error(), EINTR);
  EXPECT_EQ(channel_->waiting(), 1u);
  server_->serve();
  ASSERT_EQ(server_->seen.size(), 2u);
  const uint64_t unique = server_->seen[0].header.unique;
  server_->send(ScriptedServer::reply(unique, "late"));
  script([](uint64_t other) { return std::vector{ScriptedServer::reply(other, "right")}; });
  EXPECT_EQ(*ask(), "right");
  EXPECT_EQ(listener_.said, std::vector<std::string>{"late 3 5 late"});
  EXPECT_EQ(channel_->waiting(), 0u);
  EXPECT_EQ(channel_->refused(), 0u);
}

TEST_F(FuseChannelTest, AnInterruptIsSentAgainOrNeverMore) {
  server_->interrupts = {Errno(EINTR)};
  EXPECT_EQ(ask().error(), EINTR);
  server_->serve();
  const uint64_t unique = server_->seen[0].header.unique;
  server_->send(ScriptedServer::reply(unique | 1, "", EAGAIN));
  channel_->pump();
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_INTERRUPT), 2u);
  server_->send(ScriptedServer::reply(unique | 1, "", ENOSYS));
  channel_->pump();
  server_->interrupts = {Errno(EINTR)};
  EXPECT_EQ(ask().error(), EINTR);
  server_->serve();
  EXPECT_EQ(server_->count(FUSE_INTERRUPT), 2u);
}

TEST_F(FuseChannelTest, WhatTheSocketDoesNotTakeIsSentLater) {
  const std::string big(FuseChannel::kMaxData, 'b');
  std::vector<uint64_t> all;
  for (int i = 0; i < 50; ++i) {
    all.push_back(channel_->post({.opcode = FUSE_WRITE, .parts = {big}, .most = 10}));
  }
  EXPECT_TRUE(channel_->wants_write());
  script([](uint64_t unique) { return std::vector{ScriptedServer::reply(unique, "done")}; });
  for (int i = 0; i < 200 && !channel_->done(all.back()); ++i) {
    server_->serve();
    channel_->pump();
  }
  EXPECT_FALSE(channel_->wants_write());
  for (const uint64_t unique : all) EXPECT_EQ(*channel_->collect(unique), "done");
  // In the order in which they were asked.
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(server_->seen[i].header.unique, all[i]);
}

TEST_F(FuseChannelTest, WhatWasNotSentYetIsNotSentAfterAnInterrupt) {
  const std::string big(FuseChannel::kMaxData, 'b');
  while (!channel_->wants_write()) {
    channel_->post({.opcode = FUSE_WRITE, .parts = {big}, .most = 10});
  }
  FusePollWait wait(1);
  EXPECT_EQ(channel_->call({.opcode = FUSE_STATFS}, &wait).error(), ETIMEDOUT);
  for (int i = 0; i < 20; ++i) {
    server_->serve();
    channel_->pump();
  }
  EXPECT_EQ(server_->count(FUSE_STATFS), 0u);
  EXPECT_EQ(server_->count(FUSE_INTERRUPT), 0u);
}

TEST_F(FuseChannelTest, TakesNotificationsApart) {
  notify(FUSE_NOTIFY_INVAL_INODE, std::string(fuse_bytes(std::array<int64_t, 3>{7, -1, 0}[0])));
  EXPECT_TRUE(listener_.said.empty());
  const fuse_notify_inval_inode_out inode = {7, -1, 0};
  notify(FUSE_NOTIFY_INVAL_INODE, std::string(fuse_bytes(inode)));
  const fuse_notify_inval_entry_out entry = {1, 4, FUSE_EXPIRE_ONLY};
  notify(FUSE_NOTIFY_INVAL_ENTRY, std::string(fuse_bytes(entry)) + std::string("name\0", 5));
  const fuse_notify_delete_out gone = {1, 9, 4, 0};
  notify(FUSE_NOTIFY_DELETE, std::string(fuse_bytes(gone)) + std::string("name\0", 5));
  const fuse_notify_store_out store = {7, 100, 4, 0};
  notify(FUSE_NOTIFY_STORE, std::string(fuse_bytes(store)) + "data");
  const fuse_notify_retrieve_out retrieve = {99, 7, 5, 10, 0};
  notify(FUSE_NOTIFY_RETRIEVE, std::string(fuse_bytes(retrieve)));
  const fuse_notify_poll_wakeup_out poll = {42};
  notify(FUSE_NOTIFY_POLL, std::string(fuse_bytes(poll)));
  EXPECT_EQ(listener_.said,
            (std::vector<std::string>{"inode 7 -1 0", "entry 1 name expire", "delete 1 9 name",
                                      "store 7 100 data", "retrieve 99 7 5 10", "poll 42"}));
  EXPECT_EQ(channel_->refused(), 1u);
}

TEST_F(FuseChannelTest, NotificationsThatCannotBeAreDropped) {
  const auto entry = [&](uint32_t length, const std::string& name) {
    const fuse_notify_inval_entry_out out = {1, length, 0};
    notify(FUSE_NOTIFY_INVAL_ENTRY, std::string(fuse_bytes(out)) + name);
  };
  entry(4, "name");                    // no NUL
  entry(5, std::string("name\0", 5));  // another length
  entry(0xffffffff, "name");           // length + 1 is 0
  entry(0, std::string(1, '\0'));
  entry(3, std::string("a/b\0", 4));
  entry(3, std::string("a\0b\0", 4));
  entry(2, std::string("..\0", 3));
  entry(2000, std::string(2000, 'n') + '\0');
  const fuse_notify_store_out store = {7, 100, 40, 0};
  notify(FUSE_NOTIFY_STORE, std::string(fuse_bytes(store)) + "data");
  const fuse_notify_store_out far = {7, INT64_MAX, 4, 0};
  notify(FUSE_NOTIFY_STORE, std::string(fuse_bytes(far)) + "data");
  notify(FUSE_NOTIFY_STORE, "short");
  notify(FUSE_NOTIFY_RETRIEVE, "short");
  notify(0, "");
  notify(77, "what");
  notify(-5, "what");
  EXPECT_TRUE(listener_.said.empty());
  EXPECT_EQ(channel_->refused(), 15u);
}

TEST_F(FuseChannelTest, AFloodDoesNotHoldTheCaller) {
  for (int i = 0; i < 5000; ++i) {
    const std::string junk = ScriptedServer::reply(1000, "junk");
    server_->send(junk);
    if (i % 100 == 99) channel_->pump();
  }
  channel_->pump();
  EXPECT_GT(channel_->refused(), 4000u);
  EXPECT_FALSE(channel_->dead());
}

}  // namespace
}  // namespace viewsh

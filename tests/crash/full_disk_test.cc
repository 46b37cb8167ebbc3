#include <map>
#include <random>

#include "commit_fixture.h"
#include "cow_driver.h"
#include "random_op.h"
#include "recorder.h"

namespace viewsh::crash {
namespace {

using viewfs::CommitCase;
using viewfs::CowCalls;
using viewfs::NativeCalls;
using viewfs::TempDir;
using viewfs::TestHost;
using Lines = std::vector<std::string>;

/// What the disk was too full for must have changed nothing, and works when there is room again.
class FullDisk : public testing::Test {
 protected:
  FullDisk()
      : lower_(temp_.path() + "/lower"), native_(temp_.path() + "/native"), host_(temp_.path()) {
    umask(022);
    viewfs::make_lower(lower_);
    viewfs::make_lower(native_);
  }
  ~FullDisk() override {
    recorder::fail_from("", 0);
    recorder::be_plain("");
  }
  std::shared_ptr<FileSystem> mount() { return viewfs::cow_over(lower_, host_, "work"); }
  std::string problems() {
    const auto answer = make_layer_store(host_)->verify("work", false);
    std::string out = answer.error;
    for (const std::string& line : answer.value.problems) out += line + "\n";
    return out;
  }

  TempDir temp_;
  std::string lower_, native_;
  TestHost host_;
};

/// Without the times of directories, which a copy-up that failed may have touched.
Lines plain(Lines lines) {
  for (std::string& line : lines) {
    if (line.find(" mode=4") == std::string::npos) continue;
    line.resize(std::min(line.find(" mtime="), line.find(" touched")));
  }
  return lines;
}

TEST_F(FullDisk, EachOperationFailsAsAWhole) {
  const std::string before = viewfs::fingerprint(lower_);
  std::mt19937 random(3);
  auto fs = mount();
  auto calls = std::make_unique<CowCalls>(fs);
  NativeCalls native(native_);
  uint64_t failures = 0;
  for (int i = 0; i < 400 && !HasFailure(); ++i) {
    const RandomOp op = RandomOp::draw(&random);
    const Lines was = plain(describe(*calls));
    int rc = ENOSPC;
    for (uint64_t nth = 1; rc == ENOSPC && nth < 100; ++nth) {
      recorder::fail_from(host_.state_dir(), nth);
      rc = op.run(*calls);
      const bool failed = recorder::failed() > 0;
      recorder::fail_from("", 0);
      const std::string when = "operation " + std::to_string(i) + " (" + op.text() + "), call " +
                               std::to_string(nth) + " failed";
      failures += failed ? 1 : 0;
      if (rc != ENOSPC) break;
      EXPECT_TRUE(failed) << when;
      const Lines is = plain(describe(*calls));
      EXPECT_EQ(is, was) << when << "\n" << viewfs::differences(is, was);
      if (HasFailure()) return;
      if (random() % 16 == 0) {
        calls.reset();
        fs.reset();
        EXPECT_EQ(problems(), "") << when;
        fs = mount();
        calls = std::make_unique<CowCalls>(fs);
        const Lines again = plain(describe(*calls));
        EXPECT_EQ(again, was) << when << ", opened anew\n" << viewfs::differences(again, was);
      }
    }
    EXPECT_EQ(rc, op.run(native)) << op.text();
    const Lines is = plain(describe(*calls));
    const Lines expected = plain(describe(native));
    EXPECT_EQ(is, expected) << "operation " << i << " (" << op.text() << ")\n"
                            << viewfs::differences(is, expected);
  }
  printf("%llu calls failed\n", static_cast<unsigned long long>(failures));
  calls.reset();
  fs.reset();
  EXPECT_EQ(problems(), "");
  EXPECT_EQ(before, viewfs::fingerprint(lower_));
}

/// The disk is full when the view ends, and still when the next begins.
TEST_F(FullDisk, AViewEndsAndBegins) {
  Lines was;
  for (uint64_t nth = 1; nth < 12 && !HasFailure(); ++nth) {
    {
      auto fs = mount();
      CowCalls calls(fs);
      EXPECT_EQ(calls.write("n" + std::to_string(nth), O_WRONLY | O_CREAT, 0644, "x"), 0);
      EXPECT_EQ(calls.chmod("t", nth % 2 == 0 ? 0600 : 0644), 0);
      was = plain(describe(calls));
      recorder::fail_from(host_.state_dir(), nth);
      (void)fs->shutdown();  // fails, or doesn't
    }
    MountError error;
    auto fs = viewfs::cow_over(lower_, host_, "work", &error);
    EXPECT_TRUE(fs != nullptr || error.error == Errno(ENOSPC)) << error.text;
    fs.reset();
    recorder::fail_from("", 0);
    CowCalls calls(mount());
    EXPECT_EQ(plain(describe(calls)), was) << nth;
  }
  EXPECT_EQ(problems(), "");
}

TEST_F(FullDisk, SnapshotsAndRestores) {
  auto store = make_layer_store(host_);
  Lines old_state;
  {
    CowCalls calls(mount());
    EXPECT_EQ(calls.write("a/1", O_WRONLY | O_TRUNC, 0, "old one"), 0);
    EXPECT_EQ(calls.mkdir("m", 0755), 0);
    EXPECT_EQ(calls.write("m/x", O_WRONLY | O_CREAT, 0644, "old x"), 0);
    old_state = plain(describe(calls));
  }
  ASSERT_TRUE(store->take_snapshot("work", "old").ok());
  Lines now;
  bool done = false;
  for (uint64_t nth = 1; !done && nth < 200 && !HasFailure(); ++nth) {
    {
      CowCalls calls(mount());
      recorder::fail_from(host_.state_dir(), nth);
      done = calls.write("a/1", O_WRONLY | O_APPEND, 0, "+") == 0;
      recorder::fail_from("", 0);
    }
    EXPECT_EQ(problems(), "") << nth;
  }
  EXPECT_TRUE(done);
  {
    CowCalls calls(mount());
    now = plain(describe(calls));
  }
  const auto state = [&] {
    CowCalls calls(mount());
    return plain(describe(calls));
  };
  done = false;
  for (uint64_t nth = 1; !done && nth < 300 && !HasFailure(); ++nth) {
    recorder::fail_from(host_.state_dir(), nth);
    done = store->take_snapshot("work", "s").ok();
    recorder::fail_from("", 0);
    EXPECT_EQ(problems(), "") << nth;
    EXPECT_EQ(state(), now) << nth;
  }
  EXPECT_TRUE(done);
  done = false;
  for (uint64_t nth = 1; !done && nth < 300 && !HasFailure(); ++nth) {
    recorder::fail_from(host_.state_dir(), nth);
    done = store->restore("work", "old").ok();
    recorder::fail_from("", 0);
    // Decided, but not ended: whoever opens the layer next does that.
    const Lines is = state();
    EXPECT_EQ(problems(), "") << nth;
    EXPECT_TRUE(is == now || is == old_state) << nth << testing::PrintToString(is);
    EXPECT_TRUE(!done || is == old_state) << nth;
    if (is == old_state) break;
  }
  EXPECT_EQ(state(), old_state);
}

/// A layer on a file system without hard links and extended attributes: what needs them fails with
/// the errno that such a file system gives, everything else works.
TEST_F(FullDisk, AFileSystemWithoutLinksAndAttributes) {
  setxattr((lower_ + "/f/x").c_str(), "user.test", "v", 1, 0);
  setxattr((native_ + "/f/x").c_str(), "user.test", "v", 1, 0);
  recorder::be_plain(host_.state_dir());
  std::mt19937 random(5);
  auto fs = mount();
  CowCalls calls(fs);
  int refused = 0;
  for (int i = 0; i < 600 && !HasFailure(); ++i) {
    const RandomOp op = RandomOp::draw(&random);
    const Lines was = plain(describe(calls));
    const int rc = op.run(calls);
    if (rc == EPERM || rc == EOPNOTSUPP) {
      const Lines is = plain(describe(calls));
      EXPECT_EQ(is, was) << op.text() << "\n" << viewfs::differences(is, was);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  const Lines was = plain(describe(calls));
  EXPECT_TRUE(fs->shutdown().ok());
  EXPECT_EQ(problems(), "");
  CowCalls again(mount());
  EXPECT_EQ(plain(describe(again)), was);
}

/// A commit for which there is no room, in the lower's file system or the layer's, leaves all as it
/// was.
TEST_F(FullDisk, ACommitIsDoneOrNot) {
  CommitCase reference;
  ASSERT_TRUE(reference.store().commit("work", {}, {}).ok());
  const std::vector<std::string> committed = reference.committed();
  CommitCase c;
  const std::string before = c.print();
  uint64_t nth = 1;
  for (; nth < 400 && !HasFailure(); ++nth) {
    recorder::fail_from(c.dir().path(), nth);
    // That it touched the lower itself could not be written down: it asks, were it not forced.
    CommitOptions options;
    options.force = nth > 1;
    const auto answer = c.store().commit("work", {}, options);
    recorder::fail_from("", 0);
    EXPECT_EQ(testing::PrintToString(answer.value.conflicts), "{}") << nth;
    if (answer.ok()) break;
    // Either taken back, or to be.
    const auto undone = c.store().undo_commit("work", {});
    if (!undone.ok() && undone.error.find("no commit of it is unfinished") == std::string::npos) {
      // All of it was done but the cleaning up.
      EXPECT_NE(undone.error.find("committed already"), std::string::npos) << nth << undone.error;
      EXPECT_TRUE(c.store().resume_commit("work", {}).ok()) << nth;
      break;
    }
    EXPECT_EQ(c.print(), before) << nth << ": " << answer.error;
  }
  EXPECT_LT(nth, 400U);
  EXPECT_EQ(viewfs::differences(c.committed(), committed), "");
  printf("%llu calls failed\n", static_cast<unsigned long long>(nth - 1));
}

}  // namespace
}  // namespace viewsh::crash

// What is done by several threads where a layer is large.
#include <sys/stat.h>

#include <atomic>

#include "cow_driver.h"
#include "layer_snapshot.h"
#include "remove_tree.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

bool there(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

TEST(Workers, TheLowestFailureIsToldAndAllBelowItIsDone) {
  for (const Load load : {Load::kCalls, Load::kDisk}) {
    for (size_t round = 0; round < 50; ++round) {
      const size_t low = 100 + round * 17;
      std::vector<std::atomic<int>> done(2000);
      const size_t failed = spread(done.size(), load, [&](size_t worker, size_t i) {
        EXPECT_LT(worker, kMaxWorkers);
        ++done[i];
        return i != low && i != low + 40 && i != low + 700;
      });
      EXPECT_EQ(failed, low);
      for (size_t i = 0; i <= low; ++i) ASSERT_EQ(done[i], 1) << i;
      for (size_t i = low; i < done.size(); ++i) ASSERT_LE(done[i], 1) << i;
    }
  }
}

TEST(Workers, EverythingIsDoneOnce) {
  for (const size_t count : {0u, 1u, 255u, 256u, 1000u}) {
    std::vector<std::atomic<int>> done(count);
    const auto work = [&](size_t, size_t i) { return ++done[i] == 1; };
    EXPECT_EQ(spread(count, Load::kDisk, work), count);
    for (const auto& times : done) EXPECT_EQ(times, 1);
  }
}

TEST(RemoveLargeTree, TakesAllOfItAndNothingElse) {
  const TempDir temp;
  const std::string top = temp.path() + "/top";
  sh("mkdir -p " + temp.path() + "/outside " + top + "/deep/a/b/c; echo stays >" + temp.path() +
     "/outside/file; cd " + top + " && ln -s ../outside link && mkfifo pipe && touch deep/a/b/c/f" +
     " && mkdir many && (cd many && seq 700 | xargs touch && ln -s ../../outside out)" +
     " && for i in $(seq 80); do mkdir d$i; touch d$i/1 d$i/2; done" +
     " && mkdir d1/sub && touch d1/sub/f && chmod 0 d1/sub d2 && chmod 500 many");
  ASSERT_TRUE(there(top + "/many/700"));
  EXPECT_TRUE(remove_large_tree(AT_FDCWD, top).ok());
  struct stat st {};
  EXPECT_EQ(lstat(top.c_str(), &st), -1);
  EXPECT_EQ(read_file(temp.path() + "/outside/file"), "stays\n");
  EXPECT_TRUE(remove_large_tree(AT_FDCWD, top).ok()) << "what isn't there is removed";
}

/// A layer over 600 files that deletes half of them, rewrites half of the rest, and adds 1,200.
class LargeLayer : public testing::Test {
 protected:
  LargeLayer() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    sh("mkdir " + lower_ + "/many && cd " + lower_ +
       "/many && for i in $(seq 0 599); do echo old >f$i; done");
    umask(022);
    store_ = make_layer_store(host_);
    open();
    for (int i = 0; i < 600; ++i) {
      const std::string path = "many/f" + std::to_string(i);
      if (i % 2 == 0) {
        EXPECT_EQ(cow_->unlink(path), 0);
      }
      if (i % 4 == 1) {
        EXPECT_EQ(write(path, "changed"), 0);
      }
    }
    for (int d = 0; d < 12; ++d) {
      const std::string dir = "new" + std::to_string(d);
      EXPECT_EQ(cow_->mkdir(dir, 0755), 0);
      for (int i = 0; i < 100; ++i) EXPECT_EQ(write(join(dir, std::to_string(i)), dir), 0);
    }
    EXPECT_EQ(cow_->link("new0/1", "new1/other"), 0);
    cow_.reset();
  }
  void open() { cow_ = std::make_unique<CowCalls>(cow_over(lower_, host_, "work")); }
  int write(const std::string& path, const std::string& text) {
    return cow_->write(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, text);
  }
  std::string dir() const { return host_.state_dir() + "/layers/work"; }
  std::vector<std::string> shown() {
    open();
    auto out = describe(*cow_);
    cow_.reset();
    return out;
  }
  std::string verify() {
    const auto answer = store_->verify("work", false);
    std::string out = answer.error;
    for (const std::string& line : answer.value.problems) out += line + "\n";
    return out;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
  std::unique_ptr<CowCalls> cow_;
};

TEST_F(LargeLayer, SnapshotOnShelvesIsRestored) {
  const auto first = shown();
  EXPECT_EQ(store_->take_snapshot("work", "one").error, "");
  const std::string one = dir() + "/snapshots/one";
  EXPECT_NE(read_file(one + "/tree").find("viewsh-snapshot 2\n"), std::string::npos);
  EXPECT_TRUE(there(one + "/objects/0/16"));
  EXPECT_EQ(verify(), "");
  EXPECT_EQ(shown(), first);
  open();
  // In place: the snapshot gets copies first, one for the two names of an inode.
  for (const char* name : {"new0/1", "new5/7", "many/f1"}) {
    ASSERT_EQ(cow_->write(name, O_WRONLY, 0, "MORE THAN BEFORE"), 0) << name;
  }
  cow_.reset();
  EXPECT_NE(shown(), first);
  EXPECT_EQ(verify(), "");
  const auto changes = store_->diff_between("work", "one", "", {});
  EXPECT_EQ(changes.error, "");
  EXPECT_EQ(changes.value.size(), 4u);
  EXPECT_EQ(store_->restore("work", "one").error, "");
  EXPECT_EQ(shown(), first);
  EXPECT_EQ(verify(), "");
  sh("rm " + one + "/objects/0/16");
  EXPECT_NE(verify().find("(objects/0/16) is gone"), std::string::npos) << verify();
  EXPECT_EQ(store_->restore("work", "one").ok(), false);
  EXPECT_EQ(shown(), first);
  EXPECT_EQ(store_->delete_snapshot("work", "one").error, "");
  EXPECT_FALSE(there(one));
  EXPECT_EQ(shown(), first);
}

TEST_F(LargeLayer, IsCommittedWithAndWithoutSnapshots) {
  for (const bool snapshot : {true, false}) {
    const auto first = shown();
    if (snapshot) {
      EXPECT_EQ(store_->take_snapshot("work", "one").error, "");
    }
    EXPECT_EQ(store_->commit("work", {}, {}).error, "");
    NativeCalls native(lower_);
    EXPECT_EQ(describe(native), first);
    EXPECT_EQ(access((lower_ + "/many/f0").c_str(), F_OK), -1);
    const std::string left = temp_.path() + "/left";
    sh("find " + lower_ + " -name '.viewsh*' >" + left);
    EXPECT_EQ(read_file(left), "");
    if (!snapshot) break;
    // What it held is there to be changed anew.
    open();
    for (int i = 1; i < 600; i += 2) ASSERT_EQ(cow_->unlink("many/f" + std::to_string(i)), 0);
    cow_.reset();
    EXPECT_EQ(store_->delete_snapshot("work", "one").error, "");
  }
  EXPECT_TRUE(store_->layers().value.empty());
  EXPECT_FALSE(there(dir()));
}

TEST_F(LargeLayer, IsDiscardedAsAWhole) {
  const std::string before = fingerprint(lower_);
  EXPECT_EQ(store_->take_snapshot("work", "one").error, "");
  EXPECT_EQ(store_->discard("work", {}).error, "");
  EXPECT_FALSE(there(dir()));
  EXPECT_EQ(fingerprint(lower_), before);
}

}  // namespace
}  // namespace viewsh::viewfs

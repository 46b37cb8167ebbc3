#include <algorithm>

#include "fake_engine.h"

namespace viewsh {
namespace {

class TryTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Change change;
    change.kind = Change::Kind::kAdded;
    change.path = "/new";
    fake_engine().changes = {change};
  }
  static const MountSpec& root() { return fake_engine().spec.mounts.at(0); }
};

TEST_F(TryTest, WithoutATerminalTheLayerIsKept) {
  fake_engine().exit_status = 7;
  Outcome outcome = run_words({"try", "--hide", "/x", "sh", "-c", "exit 7"});
  EXPECT_EQ(outcome.status, 7);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(root().type, "cow");
  EXPECT_EQ(root().at, "/");
  EXPECT_EQ(root().layer.substr(0, 4), "try-");
  EXPECT_EQ(fake_engine().spec.mounts.at(1).at, "/x");
  EXPECT_NE(outcome.err.find("1 change (1 added) in layer " + root().layer), std::string::npos);
  EXPECT_NE(outcome.err.find("  A /new\n"), std::string::npos);
  EXPECT_NE(outcome.err.find("  viewsh commit " + root().layer), std::string::npos);
  EXPECT_TRUE(fake_engine().discarded.empty());
}

TEST_F(TryTest, NoChangesDropTheLayer) {
  fake_engine().changes.clear();
  Outcome outcome = run_words({"try", "true"});
  EXPECT_EQ(outcome.err, "viewsh: no changes\n");
  EXPECT_EQ(fake_engine().discarded, std::vector<std::string>{root().layer});
}

TEST_F(TryTest, CommitWithoutAskingDropsTheLayerAfterwards) {
  EXPECT_EQ(run_words({"try", "--commit", "true"}).status, 0);
  EXPECT_EQ(fake_engine().commits, 1);
  EXPECT_EQ(fake_engine().discarded.size(), 1U);
}

TEST_F(TryTest, ARefusedCommitKeepsTheLayer) {
  fake_engine().conflicts = {"/new: is there already"};
  Outcome outcome = run_words({"try", "--commit", "true"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("conflict: /new: is there already"), std::string::npos);
  EXPECT_TRUE(fake_engine().discarded.empty());
}

TEST_F(TryTest, Discard) {
  EXPECT_EQ(run_words({"try", "--discard", "true"}).status, 0);
  EXPECT_EQ(fake_engine().commits, 0);
  EXPECT_EQ(fake_engine().discarded.size(), 1U);
  EXPECT_EQ(run_words({"try", "--discard", "--keep", "true"}).status, 125);
}

TEST_F(TryTest, AViewThatWasNeverMadeIsNotSummedUp) {
  fake_engine().makes_layer = false;
  fake_engine().exit_status = 125;
  Outcome outcome = run_words({"try", "true"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(TryTest, ManyChangesAreCapped) {
  fake_engine().changes.resize(100, fake_engine().changes[0]);
  Outcome outcome = run_words({"try", "true"});
  EXPECT_NE(outcome.err.find("  ... and 80 more: viewsh diff "), std::string::npos);
}

TEST_F(TryTest, LayerNames) {
  EXPECT_EQ(run_words({"try", "--layer", "mine", "true"}).status, 0);
  EXPECT_EQ(root().layer, "mine");
  Outcome outcome = run_words({"try", "--layer", "mine", "true"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("exists already"), std::string::npos);
  EXPECT_EQ(run_words({"try", "--layer", "a/b", "true"}).status, 125);
}

TEST_F(TryTest, AProfilesOwnCopyOnWriteRootIsTheSame) {
  write("p.yaml", "viewsh: 1\nmounts: [{type: cow, at: /}, {type: hide, at: /x}]\n");
  EXPECT_EQ(run_words({"try", "-p", "p", "--keep", "true"}).status, 0);
  ASSERT_EQ(fake_engine().spec.mounts.size(), 2U);
  EXPECT_EQ(fake_engine().spec.mounts[1].type, "hide");
  write("q.yaml", "viewsh: 1\nmounts: [{type: cow, at: /, layer: w}]\n");
  EXPECT_EQ(run_words({"try", "-p", "q", "true"}).status, 125);
}

}  // namespace
}  // namespace viewsh

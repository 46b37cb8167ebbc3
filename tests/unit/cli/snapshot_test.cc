#include "fake_engine.h"
#include "nlohmann/json.hpp"

namespace viewsh {
namespace {

class SnapshotCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    LayerInfo info;
    info.name = "work";
    LayerInfo odd;
    odd.name = "a@b";
    fake_engine().layers = {info, odd};
    fake_engine().snapshots = {{"old", 1000, 4096, 7, ""},
                               {"bad\n", 0, 0, 0, "its tree is cut off"}};
  }
};

TEST_F(SnapshotCliTest, Snapshot) {
  EXPECT_EQ(run_words({"snapshot", "work", "x"}).out, "work: snapshot x: 3 changes, 2.0K\n");
  EXPECT_EQ(fake_engine().asked_snapshot, "take work x");
  EXPECT_EQ(run_words({"snapshot", "--delete", "work", "x"}).out, "work: snapshot x: deleted\n");
  EXPECT_EQ(fake_engine().asked_snapshot, "delete work x");
  EXPECT_EQ(run_words({"snapshot", "--delete", "work"}).status, 125);
  fake_engine().snapshot_error = "layer work: no";
  EXPECT_EQ(run_words({"snapshot", "work", "x"}).err, "viewsh: layer work: no\n");
  EXPECT_EQ(run_words({"restore", "wrok", "x"}).err,
            "viewsh: wrok: no such layer; did you mean 'work'?\n");
}

TEST_F(SnapshotCliTest, History) {
  const std::string out = run_words({"snapshot", "work"}).out;
  EXPECT_NE(out.find("old"), std::string::npos);
  EXPECT_NE(out.find("4.0K  7"), std::string::npos) << out;
  EXPECT_NE(out.find("bad\\n"), std::string::npos);
  EXPECT_NE(out.find("its tree is cut off"), std::string::npos);
  auto json = nlohmann::json::parse(run_words({"layers", "--history", "--json", "work"}).out);
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["snapshots"][0]["taken"], 1000);
  EXPECT_EQ(json[0]["snapshots"][1]["damage"], "its tree is cut off");
  EXPECT_EQ(run_words({"layers", "--history", "nolayer"}).status, 125);
}

TEST_F(SnapshotCliTest, Restore) {
  Outcome outcome = run_words({"restore", "work", "old"});
  EXPECT_EQ(outcome.out, "work: restored old; what it was is kept as before-restore-x\n");
  EXPECT_EQ(outcome.err, "viewsh: a: note\n");
  EXPECT_EQ(fake_engine().asked_snapshot, "restore work old");
}

TEST_F(SnapshotCliTest, DiffOfSnapshots) {
  const std::pair<const char*, const char*> cases[] = {{"work@old", "diff work old"},
                                                       {"work@old..new", "between work old new"},
                                                       {"work@old..", "between work old "},
                                                       {"a@b@old", "diff a@b old"}};
  for (const auto& [what, asked] : cases) {
    EXPECT_EQ(run_words({"diff", what, "/p"}).status, 0) << what;
    EXPECT_EQ(fake_engine().asked_snapshot, asked);
  }
  fake_engine().asked_snapshot.clear();
  EXPECT_EQ(run_words({"diff", "a@b"}).status, 0);
  EXPECT_EQ(fake_engine().asked_snapshot, "") << "a layer of that name";
  EXPECT_EQ(run_words({"diff", "none@old"}).status, 125);
}

TEST_F(SnapshotCliTest, Verify) {
  EXPECT_EQ(run_words({"layers", "--verify"}).out, "work: good\na@b: good\n");
  fake_engine().verify = {{"log: bad\n"}, {}};
  Outcome outcome = run_words({"layers", "--verify", "work"});
  EXPECT_EQ(outcome.out, "work: log: bad\\n\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(run_words({"layers", "--verify", "--json", "work"}).status, 1);
  fake_engine().verify = {{}, {"log: mended"}};
  outcome = run_words({"layers", "--repair", "work"});
  EXPECT_EQ(outcome.out, "work: repaired: log: mended\n");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(fake_engine().asked_snapshot, "repair work");
  EXPECT_EQ(run_words({"layers", "--verify", "--history"}).status, 125);
}

}  // namespace
}  // namespace viewsh

#include <cstdlib>

#include "fake_engine.h"
#include "nlohmann/json.hpp"

namespace viewsh {
namespace {

class LayerTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    LayerInfo info;
    info.name = "work";
    info.changes = 3;
    info.bytes = 2048;
    fake_engine().layers = {info};
    Change changed;
    changed.path = "/b";
    changed.metadata = true;
    Change renamed;
    renamed.kind = Change::Kind::kRenamed;
    renamed.type = NodeType::kDirectory;
    renamed.path = "/a";
    renamed.old_path = "/z\n";
    fake_engine().changes = {changed, renamed};
  }
};

TEST_F(LayerTest, Layers) {
  EXPECT_NE(run_words({"layers"}).out.find("2.0K"), std::string::npos);
  auto json = nlohmann::json::parse(run_words({"layers", "--json"}).out);
  EXPECT_EQ(json[0]["name"], "work");
}

TEST_F(LayerTest, DiffIsSortedAndEscaped) {
  Outcome outcome = run_words({"diff", "work"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "R /z\\n/ -> /a/\nM /b (mode, owner, times or attributes)\n");
  auto json = nlohmann::json::parse(run_words({"diff", "work", "--json"}).out);
  EXPECT_EQ(json[0]["old_path"], "/z\n");
  EXPECT_EQ(json[1]["change"], "changed");
}

TEST_F(LayerTest, PathsAreTakenFromTheWorkingDirectory) {
  run_words({"diff", "work", "x/../y", "/z"});
  EXPECT_EQ(fake_engine().asked_paths, (std::vector<std::string>{dir() + "/y", "/z"}));
}

TEST_F(LayerTest, AMissingLayerIsOneLine) {
  for (const char* command : {"diff", "commit", "discard"}) {
    Outcome outcome = run_words({command, "wrok"});
    EXPECT_EQ(outcome.status, 125);
    EXPECT_EQ(outcome.err, "viewsh: wrok: no such layer; did you mean 'work'?\n");
  }
  EXPECT_EQ(fake_engine().commits, 0);
  EXPECT_TRUE(fake_engine().discarded.empty());
}

TEST_F(LayerTest, WithoutAStoreItsReasonIsTold) {
  fake_engine().has_store = false;
  EXPECT_EQ(run_words({"layers"}).err, "viewsh: no plugin keeps layers\n");
  EXPECT_EQ(run_words({"try", "true"}).status, 125);
}

TEST_F(LayerTest, CommitTellsAndDryRunLists) {
  EXPECT_EQ(run_words({"commit", "work"}).out, "work: committed: 1 changed, 1 renamed\n");
  Outcome outcome = run_words({"commit", "--dry-run", "work", "/b"});
  EXPECT_TRUE(fake_engine().commit.dry_run);
  EXPECT_NE(outcome.out.find("M /b"), std::string::npos);
  EXPECT_NE(outcome.out.find("work: would commit: "), std::string::npos);
}

TEST_F(LayerTest, ConflictsAreListedAndGiveOne) {
  fake_engine().conflicts = {"/b: changed underneath"};
  Outcome outcome = run_words({"commit", "work"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err,
            "viewsh: conflict: /b: changed underneath\n"
            "viewsh: work: 1 conflict; nothing was written (--force applies it all the same)\n");
  outcome = run_words({"commit", "--json", "work"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["conflicts"].size(), 1U);
  EXPECT_EQ(run_words({"commit", "--force", "work"}).status, 0);
}

TEST_F(LayerTest, Discard) {
  EXPECT_EQ(run_words({"discard", "work", "/b"}).out, "work: discarded /b\n");
  EXPECT_EQ(fake_engine().asked_paths, std::vector<std::string>{"/b"});
}

}  // namespace
}  // namespace viewsh

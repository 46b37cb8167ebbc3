#include <random>

#include "cow_driver.h"

namespace viewsh::viewfs {
namespace {

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    store_ = make_layer_store(host_);
    CowCalls cow(cow_over(lower_, host_, "work"));
    const auto write = [&](const std::string& path) {
      EXPECT_EQ(cow.write(path, O_WRONLY | O_CREAT, 0644, "view"), 0) << path;
    };
    write("new");
    write("t");
    write("a/b/c/3");
    EXPECT_EQ(cow.unlink("a/1"), 0);
    EXPECT_EQ(cow.rename("d", "dd", 0), 0);
    EXPECT_EQ(cow.chmod("dd/fifo", 0600), 0);
    EXPECT_EQ(cow.mkdir("m", 0755), 0);
    write("m/x");
  }
  std::string dir() const { return host_.state_dir() + "/layers/work"; }
  std::string problems(bool repair = false) {
    const auto answer = store_->verify("work", repair);
    std::string out = answer.error;
    for (const std::string& line : answer.value.problems) out += line + "\n";
    return out;
  }
  std::string repaired() {
    const auto answer = store_->verify("work", true);
    EXPECT_TRUE(answer.value.problems.empty());
    std::string out = answer.error;
    for (const std::string& line : answer.value.repaired) out += line + "\n";
    return out;
  }
  /// Or why it can't be mounted.
  std::vector<std::string> shown() {
    MountError error;
    auto fs = cow_over(lower_, host_, "work", &error);
    if (fs == nullptr) return {error.text};
    CowCalls cow(fs);
    return describe(cow);
  }
  void expect(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
};

TEST_F(VerifyTest, AGoodLayerHasNoProblems) {
  EXPECT_EQ(problems(), "");
  EXPECT_EQ(repaired(), "") << "and nothing is done to it";
  EXPECT_EQ(shown().size(), shown().size());
}

TEST_F(VerifyTest, DanglingRecord) {
  sh("rm " + dir() + "/upper/a/b/c/3");
  expect(problems(), "a/b/c/3: is recorded, but upper/ doesn't have it");
  expect(repaired(), "a/b/c/3: is recorded, but upper/ doesn't have it: its record dropped");
  EXPECT_EQ(problems(), "");
  sh("test -f " + dir() + "/log.backup-*");
}

TEST_F(VerifyTest, OtherType) {
  sh("rm " + dir() + "/upper/a/b/c/3; mkdir " + dir() + "/upper/a/b/c/3");
  expect(problems(), "another type");
}

TEST_F(VerifyTest, StrayContentIsKept) {
  sh("rm -f " + dir() + "/upper/dd/fifo; echo mine >" + dir() + "/upper/dd/fifo");
  expect(problems(), "dd/fifo: upper/ has content");
  expect(repaired(), "kept as " + dir() + "/lost+found/1-fifo");
  EXPECT_EQ(read_file(dir() + "/lost+found/1-fifo"), "mine\n");
  EXPECT_EQ(problems(), "");
}

TEST_F(VerifyTest, LostRecordsAreAdopted) {
  sh("rm " + dir() + "/log");
  expect(problems(), "log: is gone");
  expect(problems(), "a: stands for a name of the lower, but its record is lost");
  expect(repaired(), "adopted, merged");
  EXPECT_EQ(problems(), "");
  bool lower_shows = false;
  for (const std::string& line : shown()) lower_shows = lower_shows || line.rfind("a/b/2 ", 0) == 0;
  EXPECT_TRUE(lower_shows);
}

TEST_F(VerifyTest, HiddenWhereNothingOfTheLowerIs) {
  const std::string log = read_file(dir() + "/log");
  const std::string clean = encode_text("clean");
  ASSERT_EQ(log.substr(log.size() - clean.size()), clean);
  Transaction t;
  t.records.push_back(Record::hide("m/none", LowerState{}));
  write_file(dir() + "/log", log.substr(0, log.size() - clean.size()) + encode(t));
  expect(problems(), "m/none: is hidden where nothing of the lower shows");
  expect(repaired(), "its record dropped");
  EXPECT_EQ(problems(), "");
}

TEST_F(VerifyTest, LinksPermissionsAndDirectories) {
  sh("cd " + dir() + "; rm links/*; touch links/1-2; chmod 755 .; chmod 500 upper/m; rmdir work");
  const std::string text = problems();
  for (const char* part : {"links/1-2: is not recorded", ": is recorded, but isn't there",
                           "is open to others", "upper/m: its owner may not", "work: No such"}) {
    expect(text, part);
  }
  (void)repaired();
  EXPECT_EQ(problems(), "");
}

TEST_F(VerifyTest, VersionAndHeader) {
  write_file(dir() + "/layer", "viewsh-layer 2\n");
  const std::string before = fingerprint(dir());
  expect(problems(true), "its format is version 2, this viewsh knows version 1");
  write_file(dir() + "/layer", "viewsh-layer 1\nat /");
  expect(problems(true), "is damaged");
  sh("rm " + dir() + "/layer");
  expect(problems(true), "this is not a layer");
  expect(store_->verify("nolayer", false).error, "there is no such layer");
  expect(store_->verify("../work", false).error, "a layer's name is one file name");
}

TEST_F(VerifyTest, ALogInTheMiddleOfDamage) {
  std::string log = read_file(dir() + "/log");
  const size_t line = log.find('\n', log.find("hide a/1"));
  log[line - 2] = static_cast<char>(log[line - 2] ^ 1);
  write_file(dir() + "/log", log);
  expect(shown().at(0), "its log is damaged at byte");
  expect(problems(), "is damaged: its checksum is wrong");
  expect(repaired(), "checksum is wrong: dropped");
  EXPECT_EQ(problems(), "");
  EXPECT_GT(shown().size(), 5u);
  sh("grep -q 'hide a/' " + dir() + "/log.backup-*");
}

TEST_F(VerifyTest, NothingIsRepairedWithoutABackup) {
  if (geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  sh("rm " + dir() + "/upper/a/b/c/3; chmod 500 " + dir());
  const std::string log = read_file(dir() + "/log");
  expect(problems(true), "nothing was repaired: a copy of the log can't be made");
  EXPECT_EQ(read_file(dir() + "/log"), log);
  sh("chmod 700 " + dir());
}

/// Whatever happens to a log that was closed in order: it is read as it was, or there is a line.
TEST_F(VerifyTest, FlippedAndCutLogs) {
  const std::string good = read_file(dir() + "/log");
  const std::string clean = encode_text("clean");
  const auto changes = store_->diff("work", {}).value.size();
  ASSERT_GT(changes, 3u);
  std::mt19937 random(7);
  const auto pick = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string bad = good;
    if (i % 4 == 0) {
      bad.resize(pick(good.size()));
    } else {
      for (int k = i % 3; k >= 0; --k) bad[pick(bad.size())] ^= static_cast<char>(1 << pick(8));
    }
    write_file(dir() + "/log", bad);
    const auto answer = store_->diff("work", {});
    if (!answer.ok()) {
      ++refused;
      EXPECT_NE(problems(), "") << i;
    } else {
      EXPECT_EQ(answer.value.size(), changes) << i;
    }
  }
  EXPECT_GT(refused, 3000);
  // And repairing takes any of them.
  for (int i = 0; i < 100; ++i) {
    std::string bad = good;
    bad[pick(bad.size())] ^= 16;
    write_file(dir() + "/log", bad);
    ASSERT_TRUE(store_->verify("work", true).ok());
    EXPECT_EQ(problems(), "") << i;
    EXPECT_TRUE(store_->diff("work", {}).ok());
    sh("rm -f " + dir() + "/log.backup-*");
  }
}

}  // namespace
}  // namespace viewsh::viewfs

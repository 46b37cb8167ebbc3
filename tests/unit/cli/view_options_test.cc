#include "fake_engine.h"

namespace viewsh {
namespace {

using ViewOptionsTest = CliTest;

std::vector<std::string> mount_points() {
  std::vector<std::string> points;
  for (const MountSpec& mount : fake_engine().spec.mounts) {
    points.push_back(mount.type + " " + mount.at);
  }
  return points;
}

TEST_F(ViewOptionsTest, ProfilesFirstThenAsTyped) {
  write("p.yaml", "viewsh: 1\nmounts: [{type: tmpfs, at: /p}]\n");
  Outcome outcome =
      run_words({"run", "--tmpfs", "/a", "--hide", "/b", "--bind", "/usr:/c", "-p", "p", "--merge",
                 "/usr:/etc:/d", "--cow", "/e", "--hide", "/f", "--tmpfs=/g", "true"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(mount_points(),
            (std::vector<std::string>{"tmpfs /p", "tmpfs /a", "hide /b", "bind /c", "merge /d",
                                      "cow /e", "hide /f", "tmpfs /g"}));
  EXPECT_EQ(fake_engine().spec.mounts[3].place.text, "--bind /usr:/c");
}

TEST_F(ViewOptionsTest, LaterSettingsWin) {
  write("p.yaml", "viewsh: 1\nenv: {set: {A: p, B: p}, unset: [C]}\ncwd: /p\n");
  Outcome outcome = run_words({"run", "--env", "A=1", "-p", "p", "--env=C=3", "--unset", "B",
                               "--cwd", "/tmp", "--root=/usr", "--clear-env", "--clear-env", "x"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const ViewSpec& spec = fake_engine().spec;
  EXPECT_EQ(spec.env.set, (std::map<std::string, std::string>{{"A", "1"}, {"C", "3"}}));
  EXPECT_EQ(spec.env.unset, std::vector<std::string>{"B"});
  EXPECT_TRUE(spec.env.clear);
  EXPECT_EQ(spec.cwd, "/tmp");
  EXPECT_EQ(spec.root, "/usr");
  EXPECT_EQ(spec.root_place.text, "--root /usr");
}

TEST_F(ViewOptionsTest, WhatMayBeDone) {
  run_words({"run", "true"});
  EXPECT_FALSE(fake_engine().spec.allow_mount);
  run_words({"run", "--allow", "mount", "true"});
  EXPECT_TRUE(fake_engine().spec.allow_mount);
  write("p.yaml", "viewsh: 1\nallow: [mount]\n");
  run_words({"run", "-p", "p", "true"});
  EXPECT_TRUE(fake_engine().spec.allow_mount);
  Outcome outcome = run_words({"run", "--allow", "anything", "true"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("--allow anything: must be mount"), std::string::npos) << outcome.err;
}

TEST_F(ViewOptionsTest, Identities) {
  run_words({"run", "true"});
  EXPECT_FALSE(fake_engine().spec.identity);
  run_words({"run", "--fake-root", "true"});
  ASSERT_TRUE(fake_engine().spec.identity);
  EXPECT_EQ(fake_engine().spec.identity->request.uid, 0U);
  EXPECT_EQ(fake_engine().spec.identity->request.gid, 0U);
  EXPECT_FALSE(fake_engine().spec.identity->request.groups);
  EXPECT_TRUE(fake_engine().spec.may_mount());
  EXPECT_FALSE(fake_engine().spec.allow_mount);
  run_words({"run", "--fake-root", "--uid", "7", "true"});
  EXPECT_EQ(fake_engine().spec.identity->request.uid, 7U);
  EXPECT_FALSE(fake_engine().spec.may_mount());
  write("p.yaml", "viewsh: 1\nidentity: {uid: 1, gid: 2, groups: [3, 4]}\n");
  write("q.yaml", "viewsh: 1\nextends: [./p.yaml]\nidentity: {uid: 5}\n");
  run_words({"run", "-p", "./q.yaml", "true"});
  EXPECT_EQ(fake_engine().spec.identity->request.uid, 5U);
  EXPECT_EQ(fake_engine().spec.identity->request.groups, (std::vector<gid_t>{3, 4}));
  run_words({"run", "-p", "./q.yaml", "--gid=4294967294", "true"});
  EXPECT_EQ(fake_engine().spec.identity->request.gid, 4294967294U);
  EXPECT_FALSE(fake_engine().spec.identity->request.groups);  // they were those of another gid
  Outcome outcome = run_words({"run", "--uid", "4294967295", "true"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("--uid 4294967295: must be a number from 0 to 4294967294"),
            std::string::npos)
      << outcome.err;
}

TEST_F(ViewOptionsTest, LayerGoesToTheCowBeforeIt) {
  run_words({"run", "--cow", "/a", "--cow", "/b", "--layer", "w", "true"});
  EXPECT_EQ(fake_engine().spec.mounts[0].layer, "");
  EXPECT_EQ(fake_engine().spec.mounts[1].layer, "w");
  run_words({"run", "--layer", "w", "--cow", "/a", "--cow", "/b", "true"});
  EXPECT_EQ(fake_engine().spec.mounts[0].layer, "w");
  EXPECT_EQ(fake_engine().spec.mounts[1].layer, "");
}

TEST_F(ViewOptionsTest, LayersStandOnEachOther) {
  using Names = std::vector<std::string>;
  run_words({"run", "--layer", "a", "--mincow", "/m", "--layer", "b", "--cow", "/c", "--layer", "a",
             "--layer", "w", "true"});
  ASSERT_EQ(fake_engine().spec.mounts.size(), 2U);
  EXPECT_EQ(fake_engine().spec.mounts[0].type, "mincow");
  EXPECT_EQ(fake_engine().spec.mounts[0].layers_below, Names{"a"});
  EXPECT_EQ(fake_engine().spec.mounts[0].layer, "b");
  EXPECT_EQ(fake_engine().spec.mounts[1].layers_below, Names{"a"});
  EXPECT_EQ(fake_engine().spec.mounts[1].layer, "w");
  fake_engine().spec = {};
  EXPECT_EQ(run_words({"run", "--cow", "/", "--layer", "a", "--layer", "a", "true"}).err,
            "viewsh: --layer a: the layer a is there twice\n");
  EXPECT_EQ(run_words({"run", "--cow", "/a", "--layer", "w", "--cow", "/b", "--layer", "w",
                       "--layer", "x", "true"})
                .err,
            "viewsh: --cow /b: layer: w is already the layer of /a (--cow /a)\n");
}

TEST_F(ViewOptionsTest, LayersReplaceThoseOfTheProfile) {
  write("p.yaml", "viewsh: 1\nmounts: [{type: mincow, at: /, layers: [x, y]}]\n");
  run_words({"run", "-p", "p", "--layer", "a", "--layer", "w", "true"});
  EXPECT_EQ(fake_engine().spec.mounts.at(0).layers_below, std::vector<std::string>{"a"});
  EXPECT_EQ(fake_engine().spec.mounts.at(0).layer, "w");
}

TEST_F(ViewOptionsTest, LayerGoesToTheProfilesCow) {
  write("p.yaml", "viewsh: 1\nmounts: [{type: cow, at: /}]\n");
  run_words({"run", "-p", "p", "--layer", "w", "true"});
  EXPECT_EQ(fake_engine().spec.mounts.at(0).layer, "w");
  EXPECT_EQ(run_words({"run", "--layer", "w", "true"}).err,
            "viewsh: --layer w: there is no copy-on-write mount; add --cow PATH\n");
}

TEST_F(ViewOptionsTest, FaultsNameTheOption) {
  EXPECT_EQ(run_words({"run", "--bind", "x", "true"}).err,
            "viewsh: --bind x: must be SRC:AT or SRC:AT:ro\n");
  EXPECT_EQ(run_words({"run", "--bind", "/no/such:/x", "true"}).err,
            "viewsh: --bind /no/such:/x: source: /no/such: No such file or directory\n");
  EXPECT_EQ(run_words({"run", "--root", "/no/such", "true"}).err,
            "viewsh: --root /no/such: No such file or directory\n");
  EXPECT_EQ(run_words({"run", "--env", "A", "true"}).err, "viewsh: --env A: must be NAME=VALUE\n");
  EXPECT_EQ(fake_engine().runs, 0);
}

TEST_F(ViewOptionsTest, LaterFeaturesAreRefused) {
  std::vector<std::vector<std::string>> uses = {
      {"--hostname", "x"}, {"--uname", "a=b"}, {"--time", "@0"},  {"--time-rate", "2"},
      {"--time-freeze"},   {"--seed", "1"},    {"--net", "none"}, {"--cage"}};
  for (std::vector<std::string> words : uses) {
    words.insert(words.begin(), "run");
    words.emplace_back("true");
    Outcome outcome = run_words(words);
    EXPECT_EQ(outcome.status, 125) << words[1];
    EXPECT_NE(outcome.err.find(": not available in this version\n"), std::string::npos)
        << outcome.err;
  }
  EXPECT_EQ(fake_engine().runs, 0);
}

}  // namespace
}  // namespace viewsh

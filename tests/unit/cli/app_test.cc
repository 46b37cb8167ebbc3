#include <cstdlib>

#include "fake_engine.h"
#include "nlohmann/json.hpp"

namespace viewsh {
namespace {

using AppTest = CliTest;
using Words = std::vector<std::string>;

TEST_F(AppTest, VersionAndHelp) {
  EXPECT_EQ(run_words({"--version"}).out.substr(0, 7), "viewsh ");
  EXPECT_NE(run_words({"--help"}).out.find("  commit "), std::string::npos);
  for (const char* name :
       {"run", "try", "check", "show", "resolve", "profiles", "plugins", "doctor", "layers", "diff",
        "commit", "discard", "snapshot", "restore", "mount-host"}) {
    Outcome outcome = run_words({name, "--help"});
    EXPECT_EQ(outcome.status, 0) << name;
    EXPECT_NE(outcome.out.find(std::string("Usage: viewsh ") + name), std::string::npos) << name;
  }
}

TEST_F(AppTest, Faults) {
  EXPECT_EQ(run_words({}).status, 125);
  EXPECT_EQ(run_words({"rnu"}).err,
            "viewsh: rnu: unknown command; did you mean 'run'? (viewsh --help)\n");
  EXPECT_EQ(run_words({"ps", "a", "b"}).err, "viewsh: ps: not available in this version\n");
  EXPECT_EQ(run_words({"discard"}).err,
            "viewsh: discard: needs LAYER [PATH...] (viewsh discard --help)\n");
  EXPECT_EQ(run_words({"plugins", "x"}).err, "viewsh: plugins: x: one argument too many\n");
  EXPECT_EQ(run_words({"diff", "--patch", "--stat", "w"}).status, 125);
}

TEST_F(AppTest, MountHost) {
  const std::string profile =
      write("p.yaml", "viewsh: 1\nname: p\nmounts:\n  - {type: tmpfs, at: /t}\n");
  EXPECT_EQ(run_words({"mount-host", "-f", profile, "dir"}).status, 0);
  EXPECT_EQ(fake_engine().host_mount.dir, "dir");
  EXPECT_EQ(fake_engine().host_mount.source, profile);
  EXPECT_TRUE(fake_engine().host_mount.foreground);
  ASSERT_EQ(fake_engine().spec.mounts.size(), 1U);
  EXPECT_EQ(run_words({"mount-host", profile}).err,
            "viewsh: mount-host: needs PROFILE DIR (viewsh mount-host --help)\n");
}

TEST_F(AppTest, RunPassesTheCommandOn) {
  fake_engine().exit_status = 42;
  Outcome outcome = run_words({"run", "--stats", "--trace=t", "ls", "-p", "--stats", "--"});
  EXPECT_EQ(outcome.status, 42);
  const RunOptions& run = fake_engine().run;
  EXPECT_EQ(run.command, (Words{"ls", "-p", "--stats", "--"}));
  EXPECT_TRUE(run.stats);
  EXPECT_FALSE(run.kill_on_exit);
  EXPECT_EQ(run.trace, "t");
}

TEST_F(AppTest, TraceWithoutFileIsStandardError) {
  run_words({"run", "--trace", "--kill-on-exit", "--", "ls"});
  EXPECT_EQ(fake_engine().run.trace, "");
  EXPECT_TRUE(fake_engine().run.kill_on_exit);
  EXPECT_EQ(fake_engine().run.command, Words{"ls"});
}

TEST_F(AppTest, RunWithoutCommandIsTheShell) {
  setenv("SHELL", "/bin/zsh", 1);
  run_words({"run"});
  EXPECT_EQ(fake_engine().run.command, Words{"/bin/zsh"});
  unsetenv("SHELL");
  run_words({"run"});
  EXPECT_EQ(fake_engine().run.command, Words{"/bin/sh"});
}

TEST_F(AppTest, CheckReportsEachProfile) {
  write("good.yaml", "viewsh: 1\n");
  write("bad.yaml", "viewsh: 1\nmunts: []\n");
  Outcome outcome = run_words({"check", "bad", "good"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.out, "good: ok\n");
  EXPECT_EQ(outcome.err, "viewsh: ./bad.yaml:2:1: munts: unknown key; did you mean 'mounts'?\n");
  EXPECT_EQ(run_words({"check", "good.yaml"}).status, 0);
  fake_engine().view_fault = "./good.yaml:1:1: something";
  EXPECT_EQ(run_words({"check", "good"}).err, "viewsh: ./good.yaml:1:1: something\n");
}

TEST_F(AppTest, ProfilesListsAlsoWhatIsRefused) {
  write(".config/viewsh/profiles/mine.yaml", "viewsh: 1\ndescription: my own\n");
  write(".config/viewsh/profiles/broken.yaml", "viewsh: 9\n");
  Outcome outcome = run_words({"profiles"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.out.find("my own"), std::string::npos);
  EXPECT_NE(outcome.out.find("(refused) "), std::string::npos);
  auto json = nlohmann::json::parse(run_words({"profiles", "--json"}).out);
  EXPECT_GE(json.size(), 2U);
}

TEST_F(AppTest, DoctorFailsOnlyOnWhatIsRequired) {
  fake_engine().doctor = {{"ptrace", true, true, "allowed", ""},
                          {"Landlock", false, false, "none", "a newer kernel"}};
  EXPECT_EQ(run_words({"doctor"}).status, 0);
  fake_engine().doctor[0].ok = false;
  Outcome outcome = run_words({"doctor"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.out.find("MISSING"), std::string::npos);
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  auto json = nlohmann::json::parse(run_words({"doctor", "--json"}).out);
  EXPECT_EQ(json["ok"], false);
}

TEST_F(AppTest, ResolveStartsAtTheViewsWorkingDirectory) {
  auto json =
      nlohmann::json::parse(run_words({"resolve", "--cwd", "/usr", "--json", "a/../b", "/c"}).out);
  EXPECT_EQ(json[0]["path"], "/usr/a/../b");
  EXPECT_EQ(json[1]["path"], "/c");
}

TEST_F(AppTest, PluginsAsJson) {
  auto json = nlohmann::json::parse(run_words({"plugins", "--json"}).out);
  EXPECT_EQ(json[0]["name"], "viewfs");
}

}  // namespace
}  // namespace viewsh

#include "cli/view_text.h"

#include "cli/profile.h"
#include "fake_engine.h"

namespace viewsh {
namespace {

using ViewTextTest = CliTest;

TEST_F(ViewTextTest, YamlIsAProfileOfTheSameView) {
  write("p.yaml", R"(viewsh: 1
description: "it's: #1 $HOME"
env: {set: {A: "$$x", B: "true", C: "tab\there"}, unset: [D], clear: true}
cwd: /a b
mounts:
  - {type: cow, at: /, layer: w}
  - {type: merge, at: /m, sources: [/usr, /etc], options: [rw]}
  - {type: tmpfs, at: "/$$t", options: [size=1M]}
devices: [{path: /dev/r, type: ram, size: 1M, seed: 3, options: [create]}]
binfmt: [{name: x, magic: 'a\x00\\$', mask: '\xff\xff\xff\xff', offset: 2, interpreter: /i}]
plugins: [{name: umdev, options: {k: v}}]
)");
  ViewDraft first;
  ASSERT_EQ(ProfileLoader(&first).load("p", dir()).text, "");
  std::string yaml = view_yaml(first.spec);
  write("q.yaml", yaml);
  ViewDraft second;
  ASSERT_EQ(ProfileLoader(&second).load("q", dir()).text, "") << yaml;
  EXPECT_EQ(view_json(first.spec), view_json(second.spec)) << yaml;
  EXPECT_EQ(second.spec.env.set.at("A"), "$x");
  EXPECT_EQ(second.spec.env.set.at("B"), "true");
  EXPECT_EQ(second.spec.mounts[2].at, "/$t");
  EXPECT_EQ(second.spec.binfmt[0].format.magic, std::string("a\0\\$", 4));
}

TEST_F(ViewTextTest, ShowTellsWhatTheEngineFinds) {
  fake_engine().view_fault = "--mount x: no plugin";
  Outcome outcome = run_words({"show", "--json", "--mount", "ext4:/usr:/x"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(Json::parse(outcome.out)["mounts"][0]["type"], "ext4");
  EXPECT_EQ(outcome.err, "viewsh: --mount x: no plugin\n");
}

TEST_F(ViewTextTest, Table) {
  std::string text = run_words({"show", "--tmpfs", "/t:size=1M", "--env", "A=1"}).out;
  EXPECT_NE(text.find("/t  tmpfs"), std::string::npos) << text;
  EXPECT_NE(text.find("--tmpfs /t:size=1M"), std::string::npos);
  EXPECT_NE(text.find("A=1"), std::string::npos);
}

}  // namespace
}  // namespace viewsh

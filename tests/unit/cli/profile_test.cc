#include "cli/profile.h"

#include <cstdlib>
#include <filesystem>

#include "fake_engine.h"

namespace viewsh {
namespace {

class ProfileTest : public CliTest {
 protected:
  /// Loads p.yaml with this text; the error's text, or "".
  std::string load(const std::string& text) {
    write("p.yaml", text);
    return load_name("p");
  }
  std::string load_name(const std::string& name) {
    draft_ = {};
    ProfileLoader loader(&draft_);
    UserError error = loader.load(name, dir());
    if (!error) error = check_draft(draft_);
    EXPECT_TRUE(!error || error.exit_status == 125);
    EXPECT_EQ(error.text.find('\n'), std::string::npos) << error.text;
    return error.text;
  }
  const ViewSpec& spec() const { return draft_.spec; }
  ViewDraft draft_;
};

TEST_F(ProfileTest, EmptyProfile) {
  EXPECT_EQ(load("viewsh: 1\n"), "");
  EXPECT_EQ(spec().name, "p");
  EXPECT_EQ(spec().root, "/");
  EXPECT_TRUE(spec().mounts.empty());
}

TEST_F(ProfileTest, AllKeys) {
  write("app/x", "");
  write("a/x", "");
  write("b/x", "");
  setenv("VS_A", "1", 1);
  EXPECT_EQ(load(R"(viewsh: 1
name: builder
description: All of it
env: {set: {LC_ALL: C, A: "x$VS_A"}, unset: [SSH_AUTH_SOCK], clear: true}
cwd: /build
root: /
mounts:
  - {type: cow, at: /, layer: work}
  - {type: bind, at: /opt/app, source: ~/app, options: [ro]}
  - {type: merge, at: /data, sources: [a, b], options: [rw]}
  - {type: hide, at: ~/.ssh}
  - {type: tmpfs, at: /scratch, options: [size=64M, mode=1777]}
  - {type: fuse.sshfs, at: /mnt/r, source: "host:/dir"}
devices:
  - {path: /dev/vda, type: disk, source: disk.img, size: 2G, options: [create]}
  - {path: /dev/urandom, type: random, seed: 42}
binfmt:
  - {name: arm64, magic: '\x7fELF\x02', mask: '\xff\xff\xff\xff\xff', interpreter: /q, flags: F}
  - {name: tape, extension: tap, interpreter: /usr/bin/play-tape}
plugins: [{name: umdev}, {path: ./app/x, options: {level: 3}}]
)"),
            "");
  EXPECT_EQ(spec().name, "builder");
  EXPECT_EQ(spec().env.set.at("A"), "x1");
  EXPECT_EQ(spec().env.unset, std::vector<std::string>{"SSH_AUTH_SOCK"});
  EXPECT_TRUE(spec().env.clear);
  ASSERT_EQ(spec().mounts.size(), 6U);
  EXPECT_EQ(spec().mounts[0].layer, "work");
  EXPECT_EQ(spec().mounts[1].sources[0], dir() + "/app");
  EXPECT_EQ(spec().mounts[1].place.text, "./p.yaml:9:5");
  EXPECT_EQ(spec().mounts[2].sources[1], dir() + "/b");
  EXPECT_EQ(spec().mounts[3].at, dir() + "/.ssh");
  EXPECT_EQ(spec().mounts[4].options.at("size"), "64M");
  EXPECT_EQ(spec().mounts[5].sources[0], "host:/dir");
  ASSERT_EQ(spec().devices.size(), 2U);
  EXPECT_EQ(spec().devices[0].request.size, 2ULL << 30);
  EXPECT_EQ(spec().devices[1].request.seed, 42U);
  ASSERT_EQ(spec().binfmt.size(), 2U);
  EXPECT_EQ(spec().binfmt[0].format.magic,
            "\x7f"
            "ELF\x02");
  ASSERT_EQ(spec().plugins.size(), 2U);
  EXPECT_EQ(spec().plugins[1].path, dir() + "/app/x");
  EXPECT_EQ(spec().plugins[1].options.at("level"), "3");
}

struct Fault {
  const char* text;
  const char* error;  ///< how the error starts, after "./p.yaml:"
};

class ProfileFaultTest : public ProfileTest, public testing::WithParamInterface<Fault> {};

TEST_P(ProfileFaultTest, IsRefusedWithItsPlace) {
  std::string error = load(GetParam().text);
  std::string expected = std::string("./p.yaml:") + GetParam().error;
  EXPECT_EQ(error.substr(0, expected.size()), expected) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Schema, ProfileFaultTest,
    testing::Values(
        Fault{"", "1:1: viewsh: a profile starts with the line 'viewsh: 1'"},
        Fault{"- a\n", "1:1: viewsh: a profile starts with"},
        Fault{"# x\nname: x\nviewsh: 1\n", "2:1: viewsh: a profile starts with"},
        Fault{"viewsh: 2\n", "1:9: viewsh: must be 1, the schema that this version reads, not '2'"},
        Fault{"viewsh: [1]\n", "1:9: viewsh: must be 1"},
        Fault{"viewsh: 1\nmuonts: []\n", "2:1: muonts: unknown key; did you mean 'mounts'?"},
        Fault{"viewsh: 1\nblah: 1\n", "2:1: blah: unknown key; known: viewsh, extends, name,"},
        Fault{"viewsh: 1\nname: a\nname: b\n", "3:1: name: given twice"},
        Fault{"viewsh: 1\ncwd:\n", "2:1: cwd: has no value"},
        Fault{"viewsh: 1\ncwd: ~\n", "2:1: cwd: has no value"},
        Fault{"viewsh: 1\nname: [a]\n", "2:7: name: must be a text, not a list"},
        Fault{"viewsh: 1\nmounts: {type: cow}\n", "2:9: mounts: must be a list such as ["},
        Fault{"viewsh: 1\nmounts: [cow]\n", "2:10: mounts: must be a map with keys of type, at,"},
        Fault{"viewsh: 1\nextends: base\n", "2:10: extends: must be a list such as [base], not"},
        Fault{"viewsh: 1\nextends: [nix]\n", "2:11: extends: nix: no such profile in ./, "},
        Fault{"viewsh: 1\nextends: [p]\n", "2:11: extends: p extends this profile"},
        Fault{"viewsh: 1\nmounts: [\n", "3:1: not valid YAML: "},
        Fault{"viewsh: 1\n---\nviewsh: 1\n", "3:1: a profile is one YAML document"},
        Fault{"viewsh: 1\ncage: {exec: true}\n", "2:1: cage: not available in this version"},
        Fault{"viewsh: 1\nidentity: {uid: 4294967295}\n",
              "2:17: uid: must be a number from 0 to 4294967294, not '4294967295'"},
        Fault{"viewsh: 1\nidentity: {groups: [a]}\n",
              "2:21: groups: must be a number from 0 to 4294967294, not 'a'"},
        Fault{"viewsh: 1\nnetwork: none\n", "2:1: network: not available in this version"},
        Fault{"viewsh: 1\nroot: /no/such\n", "2:7: root: /no/such: No such file or directory"},
        Fault{"viewsh: 1\nroot: p.yaml\n", "2:7: root: "},
        Fault{"viewsh: 1\ncwd: $VS_NO_SUCH\n", "2:6: cwd: the variable VS_NO_SUCH is not set"},
        Fault{"viewsh: 1\nenv: {clear: 1}\n", "2:14: clear: must be true or false, not '1'"},
        Fault{"viewsh: 1\nenv: {unset: A}\n", "2:14: unset: must be a list"},
        Fault{"viewsh: 1\nenv: {set: {A: [1]}}\n", "2:16: A: must be a text, not a list"},
        Fault{"viewsh: 1\nenv: {set: {A=B: 1}}\n", "2:13: A=B: the name of a variable"},
        Fault{"viewsh: 1\nname: *x\n", "2:"}));

INSTANTIATE_TEST_SUITE_P(
    Items, ProfileFaultTest,
    testing::Values(
        Fault{"viewsh: 1\nmounts:\n  - type: bind\n    at: /x\n    sorce: /y\n",
              "5:5: sorce: unknown key; did you mean 'source'?"},
        Fault{"viewsh: 1\nmounts:\n  - type: bind\n    at: /x\n    source: /no/such\n",
              "5:13: source: /no/such: No such file or directory"},
        Fault{"viewsh: 1\nmounts: [{type: merge, at: /x, sources: [/usr, p.yaml]}]\n",
              "2:48: source: "},
        Fault{"viewsh: 1\nmounts: [{type: bind, at: /x}]\n", "2:10: source: a bind needs one"},
        Fault{"viewsh: 1\nmounts: [{type: merge, at: /x, sources: [/usr]}]\n",
              "2:41: sources: a merge needs two"},
        Fault{"viewsh: 1\nmounts: [{type: hide, at: /x, source: /usr}]\n",
              "2:39: source: hide has no source"},
        Fault{"viewsh: 1\nmounts: [{at: /x}]\n", "2:10: type: missing"},
        Fault{"viewsh: 1\nmounts: [{type: cow}]\n", "2:10: at: missing"},
        Fault{"viewsh: 1\nmounts: [{type: hide, at: /x, layer: w}]\n",
              "2:38: layer: only a cow mount has a layer"},
        Fault{"viewsh: 1\nmounts: [{type: cow, at: /, layer: a/b}]\n", "2:36: layer: the name"},
        Fault{"viewsh: 1\nmounts: [{type: bind, at: /x, source: /usr, options: [rx]}]\n",
              "2:54: options: 'rx' is no option of bind"},
        Fault{"viewsh: 1\nmounts: [{type: bind, at: /x, source: /usr, options: [ro, rw]}]\n",
              "2:54: options: ro and rw exclude each other"},
        Fault{"viewsh: 1\nmounts: [{type: tmpfs, at: /x, options: size=1M}]\n",
              "2:41: options: must be a list such as [ro, size=64M], not 'size=1M'"},
        Fault{"viewsh: 1\nmounts:\n  - {type: hide, at: /a}\n  - {type: tmpfs, at: /a/b}\n",
              "4:23: at: /a/b is inside /a, which is hidden (./p.yaml:3:5)"},
        Fault{"viewsh: 1\nmounts:\n  - {type: tmpfs, at: /a/b}\n  - {type: hide, at: /a}\n",
              "3:23: at: /a/b is inside /a, which is hidden later (./p.yaml:4:5)"},
        Fault{"viewsh: 1\nmounts:\n  - {type: cow, at: /a, layer: w}\n"
              "  - {type: cow, at: /b, layer: w}\n",
              "4:5: layer: w is already the layer of /a (./p.yaml:3:5)"},
        Fault{"viewsh: 1\ndevices: [{type: ram}]\n", "2:11: path: missing"},
        Fault{"viewsh: 1\ndevices: [{path: /dev/a, type: ram, size: big}]\n",
              "2:43: size: must be"},
        Fault{"viewsh: 1\ndevices: [{path: /dev/a, type: disk, source: none}]\n", "2:46: source: "},
        Fault{"viewsh: 1\nbinfmt: [{name: a, interpreter: /b}]\n", "2:10: magic: a rule needs"},
        Fault{"viewsh: 1\nbinfmt: [{name: a, interpreter: /b, magic: \"\\xff\"}]\n",
              "2:44: magic: must be ASCII"},
        Fault{"viewsh: 1\nbinfmt: [{name: a, interpreter: /b, extension: .x}]\n",
              "2:48: extension: must be without"},
        Fault{"viewsh: 1\nbinfmt: [{name: a, interpreter: /b, extension: x, flags: Z}]\n",
              "2:58: flags: "},
        Fault{"viewsh: 1\nplugins: [{options: {}}]\n", "2:11: name: a plugin needs"},
        Fault{"viewsh: 1\nplugins: [{path: none.so}]\n", "2:18: path: "}));

TEST_F(ProfileTest, ATmpfsOverAHiddenPathCanBeMountedOn) {
  EXPECT_EQ(load("viewsh: 1\nmounts:\n  - {type: hide, at: /a}\n  - {type: tmpfs, at: /a}\n"
                 "  - {type: tmpfs, at: /a/b}\n"),
            "");
}

TEST_F(ProfileTest, ASourceBelowAnEarlierMountIsTheEnginesToJudge) {
  EXPECT_EQ(load("viewsh: 1\nmounts:\n  - {type: tmpfs, at: /zz}\n"
                 "  - {type: bind, at: /y, source: /zz/later}\n"),
            "");
}

TEST_F(ProfileTest, LayersAndWhatIsLeftReal) {
  EXPECT_EQ(load("viewsh: 1\nmounts:\n  - {options: [except=d, except=/srv/e], layers: [a, b, w],\n"
                 "     type: mincow, at: /srv}\n"),
            "");
  const MountSpec& mount = spec().mounts.at(0);
  EXPECT_EQ(mount.layers_below, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(mount.layer, "w");
  ASSERT_EQ(mount.except.size(), 2U);
  EXPECT_EQ(mount.except[0].path, "/srv/d");
  EXPECT_EQ(mount.except[1].path, "/srv/e");
  EXPECT_EQ(mount.except[1].place.text, "./p.yaml:3:26");
}

TEST_F(ProfileTest, LayerAndExceptFaults) {
  const std::string head = "viewsh: 1\nmounts:\n  - {type: cow, at: /a, ";
  EXPECT_EQ(load(head + "layers: [x, x]}\n"), "./p.yaml:3:37: layers: the layer x is there twice");
  EXPECT_EQ(load(head + "layers: []}\n"), "./p.yaml:3:33: layers: needs a name: [base, work]");
  EXPECT_EQ(load(head + "layers: w}\n"),
            "./p.yaml:3:33: layers: must be a list such as [base, work], not 'w'");
  EXPECT_EQ(load(head + "layer: x, layers: [y]}\n"),
            "./p.yaml:3:43: layers: give either layer or layers");
  EXPECT_EQ(load(head + "options: [except=/b]}\n"),
            "./p.yaml:3:35: options: except: /b is not below /a");
  EXPECT_EQ(load(head + "options: [except=]}\n"), "./p.yaml:3:35: options: except needs a path");
  EXPECT_EQ(load(head + "options: [size=1]}\n"),
            "./p.yaml:3:34: options: 'size' is no option of cow; known: except=PATH");
  EXPECT_EQ(load("viewsh: 1\nmounts: [{type: tmpfs, at: /a, layers: [w]}]\n"),
            "./p.yaml:2:40: layers: only a cow mount has a layer");
}

TEST_F(ProfileTest, ExtendsComesFirstListsAppendMapsOverride) {
  write("base.yaml",
        "viewsh: 1\ndescription: base\ncwd: /base\nenv: {set: {A: 1, B: 1}, unset: [C]}\n"
        "mounts: [{type: cow, at: /}]\n");
  EXPECT_EQ(load("viewsh: 1\nmounts: [{type: hide, at: /h}]\nenv: {set: {B: 2, C: 2}, unset: [A]}\n"
                 "extends: [base]\n"),
            "");
  EXPECT_EQ(spec().name, "p");
  EXPECT_EQ(spec().description, "");
  EXPECT_EQ(spec().cwd, "/base");
  EXPECT_EQ(spec().env.set, (std::map<std::string, std::string>{{"B", "2"}, {"C", "2"}}));
  EXPECT_EQ(spec().env.unset, std::vector<std::string>{"A"});
  ASSERT_EQ(spec().mounts.size(), 2U);
  EXPECT_EQ(spec().mounts[0].type, "cow");
}

TEST_F(ProfileTest, ExtendedTwiceIsAppliedOnce) {
  write("d.yaml", "viewsh: 1\nmounts: [{type: cow, at: /}]\n");
  write("b.yaml", "viewsh: 1\nextends: [d]\n");
  write("c.yaml", "viewsh: 1\nextends: [d]\n");
  EXPECT_EQ(load("viewsh: 1\nextends: [b, c]\n"), "");
  EXPECT_EQ(spec().mounts.size(), 1U);
}

TEST_F(ProfileTest, ACircleIsRefusedWhereItCloses) {
  write("sub/b.yaml", "viewsh: 1\nextends: [../p.yaml]\n");
  EXPECT_EQ(load("viewsh: 1\nextends: [sub/b.yaml]\n").substr(0, 40),
            "sub/b.yaml:2:11: extends: ../p.yaml exte");
}

TEST_F(ProfileTest, PathsAreRelativeToTheProfileThatHasThem) {
  write("sub/data/x", "");
  write("sub/base.yaml", "viewsh: 1\nmounts: [{type: bind, at: /d, source: data}]\n");
  EXPECT_EQ(load("viewsh: 1\nextends: [sub/base]\n"), "");
  EXPECT_EQ(spec().mounts.at(0).sources[0], dir() + "/sub/data");
}

TEST_F(ProfileTest, AliasesAreCopiesAndBombsAreRefused) {
  EXPECT_EQ(load("viewsh: 1\nenv: {set: {A: &x hello, B: *x}}\n"), "");
  EXPECT_EQ(spec().env.set.at("B"), "hello");
  std::string bomb = "viewsh: 1\na0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    std::string name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [";
    for (int k = 0; k < 9; ++k) bomb += before + (k < 8 ? ", " : "]\n");
  }
  EXPECT_NE(load(bomb).find("too large"), std::string::npos);
  EXPECT_NE(load("viewsh: 1\nname: &x [*x]\n").find("not valid YAML"), std::string::npos);
  EXPECT_NE(load("viewsh: 1\nname: " + std::string(5000, '[')).find("not valid YAML"),
            std::string::npos);
}

TEST_F(ProfileTest, SearchOrder) {
  write("conf/viewsh/profiles/x.yaml", "viewsh: 1\ndescription: user\n");
  write("extra/x.yaml", "viewsh: 1\ndescription: extra\n");
  setenv("VIEWSH_PROFILE_PATH", (dir() + "/extra").c_str(), 1);
  EXPECT_EQ(load_name("x"), "");
  EXPECT_EQ(spec().description, "extra");
  setenv("XDG_CONFIG_HOME", (dir() + "/conf").c_str(), 1);
  EXPECT_EQ(load_name("x"), "");
  EXPECT_EQ(spec().description, "user");
  write("x.yaml", "viewsh: 1\ndescription: here\n");
  std::filesystem::create_directories(dir() + "/x");
  EXPECT_EQ(load_name("x"), "");
  EXPECT_EQ(spec().description, "here");
}

TEST_F(ProfileTest, AMissingProfileSaysWhereItWasLookedFor) {
  std::string error = load_name("nothing-like-it");
  EXPECT_EQ(error.substr(0, 54), "nothing-like-it: no such profile in ./, " + dir().substr(0, 14));
  EXPECT_NE(error.find(dir() + "/.config/viewsh/profiles, "), std::string::npos);
  EXPECT_EQ(load_name("./none.yaml"), "./none.yaml: no such profile");
  EXPECT_EQ(load_name(dir()), dir() + ": a directory, not a profile");
}

}  // namespace
}  // namespace viewsh

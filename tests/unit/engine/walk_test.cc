#include "vfs/walk.h"

#include <gtest/gtest.h>
#include <linux/openat2.h>

#include <map>
#include <set>
#include <string>

#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::host_fs;
using testing::mount_of;
using testing::TempTree;

/// A procfs with one process of the view, 10 with a thread 11, and the engine, 99.
class FakeProc : public ProcView {
 public:
  std::map<std::string, std::string, std::less<>> targets;
  std::string self() const override { return "10"; }
  std::string thread_self() const override { return "10/task/11"; }
  bool hidden(std::string_view pid) const override { return pid == "99"; }
  std::optional<std::string> magic_target(std::string_view inside) const override {
    auto it = targets.find(inside);
    return it == targets.end() ? std::nullopt : std::optional(it->second);
  }
  bool leads_to_directory(std::string_view inside) const override {
    return directories.contains(inside);
  }
  std::set<std::string, std::less<>> directories;
};

/// A view whose root is the host directory "root"; "side" lies outside of it and is mounted at /m,
/// the file "single" at /one.
class WalkTest : public ::testing::Test {
 protected:
  WalkTest() {
    tree_.dir("root/a/b/c");
    tree_.dir("root/m");
    tree_.dir("root/deep/x/y");
    tree_.file("root/a/file");
    tree_.file("root/one");
    tree_.dir("side/in/below");
    tree_.file("side/in/file");
    tree_.file("single");
    tree_.link("root/to_a", "a");
    tree_.link("root/to_abs", "/a/b");
    tree_.link("root/to_file", "a/file");
    tree_.link("root/to_m", "m/in");
    tree_.link("root/slashed", "a/");
    tree_.link("root/nowhere", "a/none");
    tree_.link("root/self_loop", "self_loop");
    tree_.link("side/out", "../a");
    tree_.link("side/out_abs", "/a/file");
    tree_.link("side/in/up", "../../a/b");
    auto view = std::make_shared<View>(mount_of("/", host_fs(tree_.host("root"))));
    view = view->with(mount_of("/m", host_fs(tree_.host("side"))), std::nullopt);
    view = view->with(mount_of("/one", host_fs(tree_.host("single"))), std::nullopt);
    view_ = view->with(mount_of("/deep/x/y/z", host_fs(tree_.host("side/in"))),
                       MountName{"z", false, NodeType::kDirectory});
  }
  Result<Walked> go(const std::string& text, WalkFlags flags = {.want_exists = true}) {
    return walk(*view_, start_, text, flags, caller_, proc_);
  }
  /// The view path that `text` leads to, or "E" and the errno; "?" before an absent one.
  std::string to(const std::string& text, WalkFlags flags = {.want_exists = true}) {
    Result<Walked> walked = go(text, flags);
    if (!walked.ok()) return "E" + std::to_string(walked.error().value());
    return (walked->found.kind == Found::Kind::kMissing ? "?" : "") + walked->view_path;
  }
  std::string host_of(const std::string& text) {
    Result<Walked> walked = go(text);
    return walked.ok() ? walked->found.host : "";
  }
  static std::string e(int error) { return "E" + std::to_string(error); }

  TempTree tree_;
  std::shared_ptr<const View> view_;
  WalkStart start_;
  Caller caller_;
  const ProcView* proc_ = nullptr;
};

TEST_F(WalkTest, Components) {
  EXPECT_EQ(to("/"), "/");
  EXPECT_EQ(to("//"), "/");
  EXPECT_EQ(to("/a"), "/a");
  EXPECT_EQ(to("/a/b/c"), "/a/b/c");
  EXPECT_EQ(to("//a///b/.//c"), "/a/b/c");
  EXPECT_EQ(to("/./a/././b/."), "/a/b");
  EXPECT_EQ(to("/a/b/"), "/a/b");
  EXPECT_EQ(to("/a/none"), "?/a/none");
  EXPECT_EQ(to("/a/none/"), "?/a/none");
  EXPECT_EQ(to("/a/none/x"), e(ENOENT));
  EXPECT_EQ(to("/a/none/.."), e(ENOENT));
  EXPECT_EQ(to("/a/none/."), e(ENOENT));
  EXPECT_EQ(to("/a/file/x"), e(ENOTDIR));
  EXPECT_EQ(to("/a/file/"), e(ENOTDIR));
  EXPECT_EQ(to("/a/file/."), e(ENOTDIR));
  EXPECT_EQ(to("/a/file/.."), e(ENOTDIR));
  EXPECT_EQ(to("/to_file/.."), e(ENOTDIR));
  EXPECT_EQ(to(""), e(ENOENT));
}

TEST_F(WalkTest, RelativePathsStartAtTheWorkingDirectory) {
  start_.view_dir = "/a/b";
  EXPECT_EQ(to("c"), "/a/b/c");
  EXPECT_EQ(to("."), "/a/b");
  EXPECT_EQ(to("./"), "/a/b");
  EXPECT_EQ(to(".."), "/a");
  EXPECT_EQ(to("../../m/in"), "/m/in");
  EXPECT_EQ(to("/a"), "/a");
  start_.view_dir = "/m/in";
  EXPECT_EQ(to("below"), "/m/in/below");
  EXPECT_EQ(to("../../a"), "/a");
  EXPECT_EQ(host_of("."), tree_.host("side/in"));
}

TEST_F(WalkTest, DotDotAtBorders) {
  EXPECT_EQ(to("/.."), "/");
  EXPECT_EQ(to("/../../a"), "/a");
  EXPECT_EQ(to("/m/.."), "/");
  EXPECT_EQ(host_of("/m/.."), tree_.host("root"));
  EXPECT_EQ(to("/m/in/../.."), "/");
  EXPECT_EQ(to("/m/in/../../a"), "/a");
  EXPECT_EQ(to("/deep/x/y/z/.."), "/deep/x/y");
  EXPECT_EQ(host_of("/deep/x/y/z/.."), tree_.host("root/deep/x/y"));
  EXPECT_EQ(to("/one/.."), e(ENOTDIR));
  EXPECT_EQ(to("/one/"), e(ENOTDIR));
}

TEST_F(WalkTest, Mounts) {
  EXPECT_EQ(host_of("/m"), tree_.host("side"));
  EXPECT_EQ(host_of("/m/in/file"), tree_.host("side/in/file"));
  EXPECT_EQ(host_of("/one"), tree_.host("single"));
  EXPECT_EQ(to("/one/x"), e(ENOTDIR));
  EXPECT_EQ(host_of("/deep/x/y/z/file"), tree_.host("side/in/file"));
  Result<Walked> walked = go("/m/in/file");
  ASSERT_TRUE(walked.ok());
  EXPECT_EQ(walked->mount->at, "/m");
  EXPECT_EQ(walked->path, "in/file");
  EXPECT_EQ(walked->found.type, NodeType::kRegular);
}

TEST_F(WalkTest, Links) {
  EXPECT_EQ(to("/to_a/b"), "/a/b");
  EXPECT_EQ(to("/to_a"), "/a");
  EXPECT_EQ(to("/to_abs/c"), "/a/b/c");
  EXPECT_EQ(to("/to_abs/.."), "/a");
  EXPECT_EQ(to("/slashed"), "/a");
  EXPECT_EQ(to("/nowhere"), "?/a/none");
  EXPECT_EQ(to("/nowhere/"), "?/a/none");
  EXPECT_EQ(to("/nowhere/x"), e(ENOENT));
  EXPECT_EQ(to("/to_file/"), e(ENOTDIR));
  // Into a mount and out of one.
  EXPECT_EQ(to("/to_m/file"), "/m/in/file");
  EXPECT_EQ(host_of("/to_m/file"), tree_.host("side/in/file"));
  EXPECT_EQ(to("/m/out/b"), "/a/b");
  EXPECT_EQ(host_of("/m/out/b"), tree_.host("root/a/b"));
  EXPECT_EQ(to("/m/out_abs"), "/a/file");
  EXPECT_EQ(to("/m/in/up/c"), "/a/b/c");
}

TEST_F(WalkTest, LastLinkNotFollowed) {
  const WalkFlags flags{.follow = false, .want_exists = true};
  EXPECT_EQ(to("/to_a", flags), "/to_a");
  EXPECT_EQ(to("/to_a/b", flags), "/a/b");
  EXPECT_EQ(to("/nowhere", flags), "/nowhere");
  EXPECT_EQ(to("/self_loop", flags), "/self_loop");
  // A trailing slash asks for what it leads to.
  EXPECT_EQ(to("/to_a/", flags), "/a");
  EXPECT_EQ(to("/to_a/.", flags), "/a");
  EXPECT_EQ(to("/to_file/", flags), e(ENOTDIR));
  EXPECT_EQ(to("/m/out", flags), "/m/out");
  Result<Walked> walked = go("/to_a", flags);
  ASSERT_TRUE(walked.ok());
  EXPECT_EQ(walked->found.type, NodeType::kSymlink);
}

TEST_F(WalkTest, FortyLinks) {
  for (int i = 1; i <= 42; ++i) {
    tree_.link("root/l" + std::to_string(i), i == 1 ? "a" : "l" + std::to_string(i - 1));
  }
  EXPECT_EQ(to("/l40"), "/a");
  EXPECT_EQ(to("/l41"), e(ELOOP));
  EXPECT_EQ(to("/l40/b"), "/a/b");
  EXPECT_EQ(to("/l39/../to_a"), "/a");
  EXPECT_EQ(to("/l40/../to_a"), e(ELOOP));
  EXPECT_EQ(to("/self_loop"), e(ELOOP));
  EXPECT_EQ(to("/self_loop/x"), e(ELOOP));
  EXPECT_EQ(to("/l41", {.follow = false, .want_exists = true}), "/l41");
}

TEST_F(WalkTest, Lengths) {
  const std::string long_name(256, 'n');
  EXPECT_EQ(to("/a/" + long_name), e(ENAMETOOLONG));
  EXPECT_EQ(to("/" + long_name + "/x"), e(ENAMETOOLONG));
  EXPECT_EQ(to("/a/" + std::string(255, 'n')), "?/a/" + std::string(255, 'n'));
  std::string slashes(PATH_MAX - 2, '/');
  EXPECT_EQ(to(slashes + "a"), "/a");
  EXPECT_EQ(to(slashes + "/a"), e(ENAMETOOLONG));
}

TEST_F(WalkTest, EndsOfPaths) {
  struct Case {
    const char* text;
    bool dir;
    bool dot;
  };
  const Case cases[] = {
      {"/a/b", false, false},   {"/a/b/", true, false},    {"/a/b//", true, false},
      {"/a/b/.", true, true},   {"/a/b/./", true, true},   {"/a/b/..", true, true},
      {"/a/b/../", true, true}, {"/a/b/../.", true, true}, {".", true, true},
      {"./", true, true},       {"..", true, true},        {"./a", false, false},
      {"/.", true, true},       {"/", true, false},        {"/a/../a", false, false},
      {"/to_a", false, false},  {"/m/.", true, true},      {"/m", false, false}};
  for (const Case& one : cases) {
    Result<Walked> walked = go(one.text);
    ASSERT_TRUE(walked.ok()) << one.text;
    EXPECT_EQ(walked->must_be_dir, one.dir) << one.text;
    EXPECT_EQ(walked->ends_in_dot, one.dot) << one.text;
  }
}

TEST_F(WalkTest, Identity) {
  // The root of this view is another directory than the host's: the same text leads elsewhere.
  EXPECT_FALSE(go("/a")->identity);
  start_ = {"/a", tree_.host("root/a")};
  EXPECT_TRUE(go("b/c")->identity);
  EXPECT_TRUE(go("./b//c/..")->identity);
  EXPECT_TRUE(go("../to_a/b")->identity);
  EXPECT_FALSE(go("../to_abs")->identity);
  EXPECT_FALSE(go("../m")->identity);
  EXPECT_TRUE(go("none")->identity);
  start_ = {"/m/in", tree_.host("side/in")};
  EXPECT_TRUE(go("file")->identity);
  EXPECT_TRUE(go("..")->identity);
  EXPECT_FALSE(go("../..")->identity);
  EXPECT_FALSE(go("up")->identity);
  start_ = {"/a", ""};
  EXPECT_FALSE(go("b")->identity);
}

/// The kernel's root is not the view's: what the program's own text does there must not be
/// believed.
TEST_F(WalkTest, DotDotAtTheRootOfAForeignRoot) {
  start_ = {"/", tree_.host("root")};
  EXPECT_TRUE(go(".")->identity);
  for (const char* text : {"..", "../", "../a", "a/../..", "../.."}) {
    EXPECT_FALSE(go(text)->identity) << text;
  }
}

TEST_F(WalkTest, ResolveBeneathAndInRoot) {
  start_ = {"/a", tree_.host("root/a")};
  const WalkFlags beneath{.want_exists = true, .resolve = RESOLVE_BENEATH};
  EXPECT_EQ(to("b/c", beneath), "/a/b/c");
  EXPECT_EQ(to("b/../b", beneath), "/a/b");
  EXPECT_EQ(to("..", beneath), e(EXDEV));
  EXPECT_EQ(to("b/../..", beneath), e(EXDEV));
  EXPECT_EQ(to("/a", beneath), e(EXDEV));
  const WalkFlags in_root{.want_exists = true, .resolve = RESOLVE_IN_ROOT};
  EXPECT_EQ(to("/b", in_root), "/a/b");
  EXPECT_EQ(to("../../b", in_root), "/a/b");
  start_ = {"/", tree_.host("root")};
  EXPECT_EQ(to("to_a/b", beneath), "/a/b");
  EXPECT_EQ(to("to_abs", beneath), e(EXDEV));
  EXPECT_EQ(to("to_abs", in_root), "/a/b");
  start_ = {"/m", tree_.host("side")};
  EXPECT_EQ(to("out", beneath), e(EXDEV));
  EXPECT_EQ(to("out", in_root), "?/m/a");
}

TEST_F(WalkTest, ResolveNoSymlinks) {
  const WalkFlags flags{.want_exists = true, .resolve = RESOLVE_NO_SYMLINKS};
  EXPECT_EQ(to("/a/b", flags), "/a/b");
  EXPECT_EQ(to("/to_a", flags), e(ELOOP));
  EXPECT_EQ(to("/to_a/b", flags), e(ELOOP));
  EXPECT_EQ(to("/to_a", {.follow = false, .want_exists = true, .resolve = RESOLVE_NO_SYMLINKS}),
            "/to_a");
}

TEST_F(WalkTest, ResolveNoXdev) {
  const WalkFlags flags{.want_exists = true, .resolve = RESOLVE_NO_XDEV};
  EXPECT_EQ(to("/a/b", flags), "/a/b");
  EXPECT_EQ(to("/m", flags), e(EXDEV));
  EXPECT_EQ(to("/m/in", flags), e(EXDEV));
  EXPECT_EQ(to("/to_m", flags), e(EXDEV));
  EXPECT_EQ(to("/deep/x/y", flags), "/deep/x/y");
  EXPECT_EQ(to("/deep/x/y/z", flags), e(EXDEV));
  start_ = {"/m", tree_.host("side")};
  EXPECT_EQ(to("in/file", flags), "/m/in/file");
  EXPECT_EQ(to("in/..", flags), "/m");
  EXPECT_EQ(to("..", flags), e(EXDEV));
  EXPECT_EQ(to("out", flags), e(EXDEV));
}

TEST_F(WalkTest, AbsoluteLinkOutOfAMountCrossesABorder) {
  start_ = {"/m", tree_.host("side")};
  EXPECT_EQ(to("out_abs", {.want_exists = true, .resolve = RESOLVE_NO_XDEV}), e(EXDEV));
}

TEST(MagicNames, WhatProcfsAnswersByItself) {
  for (const char* name : {"1/cwd", "1/root", "1/exe", "1/fd/0", "1/fd/12", "1/ns/mnt",
                           "1/map_files/1-2", "1/task/2/cwd", "1/task/2/fd/3", "1/task/2/ns/net"}) {
    EXPECT_TRUE(is_magic_name(name)) << name;
  }
  for (const char* name : {"", "1", "self/cwd", "1/maps", "1/fd", "1/fd/x", "1/fd/1/x", "1/ns",
                           "1/task", "1/task/2", "1/task/x/cwd", "1/fdinfo/1", "cwd", "1/cwd/x"}) {
    EXPECT_FALSE(is_magic_name(name)) << name;
  }
}

/// The same tree with a directory that plays procfs.
class ProcWalkTest : public WalkTest {
 protected:
  ProcWalkTest() {
    for (const char* pid : {"10", "10/task/11", "99"}) {
      const std::string dir = std::string("root/proc/") + pid;
      tree_.file(dir + "/status");
      tree_.dir(dir + "/fd");
      tree_.link(dir + "/cwd", "/somewhere/else");
      tree_.link(dir + "/fd/1", "pipe:[1]");
      tree_.link(dir + "/fd/3", "/host/file");
    }
    tree_.link("root/proc/self", "4711");
    tree_.link("root/proc/thread-self", "4711/task/4711");
    tree_.link("root/to_cwd", "proc/self/cwd");
    fake_.targets = {{"10/cwd", "/m/in"}, {"10/fd/3", "/a/file"}, {"10/task/11/cwd", "/a"}};
    proc_ = &fake_;
  }
  FakeProc fake_;
};

TEST_F(ProcWalkTest, SelfIsTheProcessThatWalks) {
  EXPECT_EQ(to("/proc/self"), "/proc/10");
  EXPECT_EQ(to("/proc/self/status"), "/proc/10/status");
  EXPECT_EQ(to("/proc/thread-self/status"), "/proc/10/task/11/status");
  EXPECT_EQ(to("/proc/self", {.follow = false, .want_exists = true}), "/proc/self");
  EXPECT_EQ(to("/proc/self/..", {.want_exists = true}), "/proc");
  start_.view_dir = "/proc";
  EXPECT_EQ(to("self/status"), "/proc/10/status");
  EXPECT_EQ(to("self", {.want_exists = true, .resolve = RESOLVE_NO_SYMLINKS}), e(ELOOP));
}

TEST_F(ProcWalkTest, SelfIsAnOrdinaryRelativeLink) {
  start_.view_dir = "/proc";
  EXPECT_EQ(to("self/status", {.want_exists = true, .resolve = RESOLVE_BENEATH}),
            "/proc/10/status");
  EXPECT_EQ(to("self/status", {.want_exists = true, .resolve = RESOLVE_IN_ROOT}),
            "/proc/10/status");
  EXPECT_EQ(to("self/status", {.want_exists = true, .resolve = RESOLVE_NO_MAGICLINKS}),
            "/proc/10/status");
}

/// With another root, "proc/self" from the working directory is another procfs for the kernel.
TEST_F(ProcWalkTest, SelfIsNotIdenticalOnAForeignRoot) {
  tree_.dir("other/proc");
  auto view = std::make_shared<View>(mount_of("/", host_fs(tree_.host("other"))));
  view_ = view->with(mount_of("/proc", host_fs("/proc")), std::nullopt);
  class RealProc : public FakeProc {
   public:
    std::string self() const override { return std::to_string(getpid()); }
  };
  const RealProc real;
  proc_ = &real;
  start_ = {"/", tree_.host("other")};
  EXPECT_FALSE(go("proc/self/status")->identity);
  EXPECT_TRUE(go("/proc/self/status")->identity);
}

TEST_F(ProcWalkTest, TheEngineIsNotThere) {
  EXPECT_EQ(to("/proc/99"), e(ENOENT));
  EXPECT_EQ(to("/proc/99/status"), e(ENOENT));
  start_.view_dir = "/proc";
  EXPECT_EQ(to("99/status"), e(ENOENT));
  EXPECT_EQ(to("../proc/99/fd"), e(ENOENT));
  EXPECT_EQ(to("10/status"), "/proc/10/status");
}

TEST_F(ProcWalkTest, MagicLinksLeadToTheView) {
  EXPECT_EQ(to("/proc/10/cwd"), "/m/in");
  EXPECT_EQ(to("/proc/self/cwd/file"), "/m/in/file");
  EXPECT_EQ(to("/proc/thread-self/cwd/b"), "/a/b");
  EXPECT_EQ(to("/proc/self/cwd/.."), "/m");
  EXPECT_EQ(to("/proc/self/fd/3"), "/a/file");
  EXPECT_EQ(to("/proc/self/fd/3/"), e(ENOTDIR));
  EXPECT_EQ(to("/to_cwd/file"), "/m/in/file");
  EXPECT_FALSE(go("/proc/self/cwd/file")->identity);
  EXPECT_EQ(to("/proc/10/cwd", {.follow = false, .want_exists = true}), "/proc/10/cwd");
  const WalkFlags no_magic{.want_exists = true, .resolve = RESOLVE_NO_MAGICLINKS};
  EXPECT_EQ(to("/proc/10/cwd", no_magic), e(ELOOP));
  EXPECT_EQ(to("/proc/10/status", no_magic), "/proc/10/status");
}

TEST_F(ProcWalkTest, WhatTheViewDoesNotShowIsLeftToTheKernel) {
  Result<Walked> walked = go("/proc/self/fd/1", {});
  ASSERT_TRUE(walked.ok());
  EXPECT_TRUE(walked->proc_magic);
  EXPECT_EQ(walked->view_path, "/proc/10/fd/1");
  EXPECT_EQ(walked->found.host, tree_.host("root/proc/10/fd/1"));
  EXPECT_EQ(to("/proc/self/fd/1/x"), e(ENOTDIR));
  for (uint64_t resolve : {uint64_t{RESOLVE_NO_MAGICLINKS}, uint64_t{RESOLVE_NO_SYMLINKS}}) {
    EXPECT_EQ(to("/proc/10/fd/1", {.resolve = resolve}), e(ELOOP));
  }
  EXPECT_EQ(to("/proc/self/fd/1/"), e(ENOTDIR)) << "a pipe is no directory";
  EXPECT_EQ(to("/proc/self/fd/1/."), e(ENOTDIR));
  fake_.directories.insert("10/fd/1");
  walked = go("/proc/self/fd/1/", {});
  ASSERT_TRUE(walked.ok());
  EXPECT_TRUE(walked->proc_magic);
  EXPECT_TRUE(walked->must_be_dir);
}

/// fs/namei.c, nd_jump_link: a magic link is EXDEV where the look-up has a border.
TEST_F(ProcWalkTest, ScopedLookUpsFollowNoMagicLink) {
  for (uint64_t resolve : {uint64_t{RESOLVE_IN_ROOT}, uint64_t{RESOLVE_BENEATH}}) {
    EXPECT_EQ(to("proc/10/cwd", {.resolve = resolve}), e(EXDEV));
    EXPECT_EQ(to("proc/10/cwd/file", {.resolve = resolve}), e(EXDEV));
    EXPECT_EQ(to("proc/10/fd/1", {.resolve = resolve}), e(EXDEV));
    EXPECT_EQ(to("proc/10/cwd", {.resolve = resolve | RESOLVE_NO_MAGICLINKS}), e(ELOOP));
    EXPECT_EQ(to("proc/10/cwd", {.follow = false, .resolve = resolve}), "/proc/10/cwd");
  }
}

}  // namespace
}  // namespace viewsh

#include "cli/learn_plan.h"

#include <gtest/gtest.h>

namespace viewsh {
namespace {

using Kind = LearnedMount::Kind;

class LearnPlan : public testing::Test {
 protected:
  void use(const std::string& path, std::initializer_list<Access> how,
           NodeType type = NodeType::kRegular, bool existed = true) {
    PathUse& one = record_.paths[path];
    for (Access access : how) one.how |= static_cast<unsigned>(access);
    one.type = type;
    one.existed = existed;
    one.count = 1;
  }
  /// "ro /etc/passwd" and so on, in order.
  std::vector<std::string> plan() {
    AskExists ask = [this](const std::vector<std::string>& paths) {
      std::vector<bool> out;
      for (const std::string& path : paths) out.push_back(!gone_.contains(path));
      return out;
    };
    plan_ = plan_learned(record_, places_, {"/dev/ram0"}, ask);
    std::vector<std::string> out;
    for (const LearnedMount& mount : plan_.mounts) {
      const char* kinds[] = {"empty ", "link ", "ro ", "rw "};
      out.push_back(kinds[static_cast<size_t>(mount.kind)] + mount.at);
    }
    return out;
  }
  using Lines = std::vector<std::string>;

  AccessRecord record_;
  Places places_{"/home/u", "/home/u/work", {"/home/u/tmp"}};
  std::set<std::string> gone_;
  LearnedPlan plan_;
};

TEST_F(LearnPlan, FewFilesAreNamedAndManyAreTheirDirectory) {
  for (int i = 0; i < 7; ++i) use("/opt/few/" + std::to_string(i), {Access::kRead});
  for (int i = 0; i < 8; ++i) use("/opt/many/lib/" + std::to_string(i), {Access::kRead});
  Lines lines = plan();
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[0], "ro /opt/few/0");
  EXPECT_EQ(lines[7], "ro /opt/many/lib");
  EXPECT_EQ(plan_.mounts[7].files, 8U);
}

TEST_F(LearnPlan, SharedDirectoriesAndKeysAreNeverShownAsAWhole) {
  for (const char* dir : {"/etc/", "/home/u/", "/home/u/.ssh/", "/home/u/.config/", "/usr/bin/"}) {
    for (int i = 0; i < 20; ++i) use(dir + std::to_string(i), {Access::kRead});
  }
  for (const char* dir : {"/", "/etc", "/home", "/home/u", "/home/u/.ssh"}) {
    use(dir, {Access::kListed}, NodeType::kDirectory);
  }
  EXPECT_EQ(plan().size(), 100U);
  EXPECT_EQ(plan_.notes.size(), 4U);
}

TEST_F(LearnPlan, NamesThatComeAndGoNeedTheirDirectory) {
  use("/home/u/work/out", {Access::kCreated}, NodeType::kRegular, false);
  use("/home/u/work/in", {Access::kRead});
  use("/srv/data/sub", {Access::kCreated}, NodeType::kDirectory, false);
  use("/srv/data/sub/file", {Access::kCreated}, NodeType::kRegular, false);
  EXPECT_EQ(plan(), (Lines{"rw /home/u/work", "rw /srv/data"}));
}

TEST_F(LearnPlan, WhatIsMadeInSharedDirectoriesGoesToMemoryUnlessItLasts) {
  use("/tmp/x", {Access::kCreated, Access::kRemoved}, NodeType::kRegular, false);
  use("/home/u/kept", {Access::kCreated}, NodeType::kRegular, false);
  use("/home/u/gone", {Access::kCreated, Access::kRemoved}, NodeType::kRegular, false);
  use("/home/u/renamed", {Access::kCreated, Access::kMoved}, NodeType::kRegular, false);
  EXPECT_EQ(plan(), (Lines{"empty /home/u", "rw /home/u/kept", "empty /tmp"}));
  gone_ = {"/home/u/kept"};
  EXPECT_EQ(plan(), (Lines{"empty /home/u", "empty /tmp"}));
}

TEST_F(LearnPlan, MovesNeedOneMount) {
  use("/srv/a/b/x", {Access::kRemoved});
  use("/srv/a/c/y", {Access::kCreated, Access::kMoved}, NodeType::kRegular, false);
  record_.moves.emplace("/srv/a/b", "/srv/a/c");
  EXPECT_EQ(plan(), (Lines{"rw /srv/a"}));
}

TEST_F(LearnPlan, AWrittenFileInAReadDirectoryKeepsItsRights) {
  use("/srv/data/dir", {Access::kListed}, NodeType::kDirectory);
  use("/srv/data/dir/read", {Access::kRead});
  use("/srv/data/dir/log", {Access::kRead, Access::kWritten});
  EXPECT_EQ(plan(), (Lines{"ro /srv/data/dir", "rw /srv/data/dir/log"}));
  EXPECT_EQ(plan_.mounts[0].files, 1U);
}

TEST_F(LearnPlan, LinksKernelTreesAndDirectoriesThatOnlyHaveToBeThere) {
  use("/proc/12/stat", {Access::kRead});
  use("/dev/ram0", {Access::kRead}, NodeType::kBlock);
  use("/srv/x/empty", {Access::kLookedAt}, NodeType::kDirectory);
  use("/usr", {Access::kLookedAt}, NodeType::kDirectory);
  use("/usr/lib/libc.so", {Access::kRead});
  record_.links["/lib"] = "usr/lib";
  record_.links["/proc/self"] = "12";
  EXPECT_EQ(plan(), (Lines{"link /lib", "rw /proc", "empty /srv/x/empty", "ro /usr/lib/libc.so"}));
}

TEST_F(LearnPlan, MissingSettingsAreToldMissingLibrariesAreNot) {
  use("/etc/app.conf", {}, NodeType::kUnknown, false);
  use("/usr/lib/libx.so", {}, NodeType::kUnknown, false);
  EXPECT_TRUE(plan().empty());
  EXPECT_EQ(plan_.missing, (Lines{"/etc/app.conf"}));
}

TEST(Places, SaysPathsSoThatAProfileTravels) {
  Places places("/home/u", "/home/u/work", {});
  EXPECT_EQ(places.text("/home/u/work/a"), "$PWD/a");
  EXPECT_EQ(places.text("/home/u/work"), "$PWD");
  EXPECT_EQ(places.text("/home/u/a$b"), "~/a$$b");
  EXPECT_EQ(places.text("/home/user"), "/home/user");
  EXPECT_TRUE(places.is_shared("/home/other"));
  EXPECT_TRUE(places.is_secret("/home/u/.gnupg/private/x"));
  EXPECT_FALSE(places.is_secret("/home/u/.sshfs"));
}

}  // namespace
}  // namespace viewsh

// The set*id calls by the rules of kernel/sys.c, with an identity that takes whatever they allow.
#include <gtest/gtest.h>

#include "fake_task.h"
#include "vfs/host_fs.h"

namespace viewsh::testing {
namespace {

class OpenIdentity final : public Identity {
 public:
  Credentials now;
  const Credentials& credentials() const override { return now; }
  uid_t shown_uid(uid_t host) const override { return host; }
  gid_t shown_gid(gid_t host) const override { return host; }
  Result<void> change(const Credentials& wanted) override {
    now = wanted;
    return {};
  }
};

class IdentityCalls : public ::testing::Test {
 protected:
  IdentityCalls() : fake_(make_view()) {
    fake_.session.identity = &who_;
    be(0);
  }
  static std::shared_ptr<const View> make_view() {
    auto root = std::make_shared<Mount>();
    root->at = "/";
    root->fs = std::make_shared<HostFs>("/", std::make_shared<PathCache>());
    return std::make_shared<View>(root);
  }
  void be(uid_t id) { who_.now = {id, id, id, id, id, id, id, id, {id}}; }
  long run(long nr, std::initializer_list<uint64_t> values) {
    const Outcome out = fake_.run(nr, values);
    EXPECT_EQ(out.kind, Outcome::Kind::kReturn);
    return out.value;
  }
  std::string users() const {
    const Credentials& c = who_.now;
    return std::to_string(c.ruid) + " " + std::to_string(c.euid) + " " + std::to_string(c.suid) +
           " " + std::to_string(c.fsuid);
  }
  std::string groups() const {
    const Credentials& c = who_.now;
    return std::to_string(c.rgid) + " " + std::to_string(c.egid) + " " + std::to_string(c.sgid) +
           " " + std::to_string(c.fsgid);
  }
  static constexpr uint64_t kStays = 0xffffffff;
  OpenIdentity who_;
  FakeTask fake_;
};

TEST_F(IdentityCalls, RootBecomesAnybodyAndNobodyComesBack) {
  EXPECT_EQ(run(SYS_setuid, {7}), 0);
  EXPECT_EQ(users(), "7 7 7 7");
  EXPECT_EQ(run(SYS_setuid, {0}), -EPERM);
  EXPECT_EQ(run(SYS_setresuid, {kStays, 0, kStays}), -EPERM);
  EXPECT_EQ(run(SYS_setreuid, {0, kStays}), -EPERM);
  EXPECT_EQ(run(SYS_setgid, {5}), -EPERM);
  EXPECT_EQ(run(SYS_setgroups, {0, 0}), -EPERM);
  EXPECT_EQ(run(SYS_setuid, {kStays}), -EINVAL);
}

TEST_F(IdentityCalls, TheSavedIdLeadsBack) {
  EXPECT_EQ(run(SYS_setresuid, {7, 7, 0}), 0);
  EXPECT_EQ(users(), "7 7 0 7");
  EXPECT_EQ(run(SYS_setresuid, {kStays, 8, kStays}), -EPERM);
  EXPECT_EQ(run(SYS_setuid, {0}), 0);  // not root: the effective one alone
  EXPECT_EQ(users(), "7 0 0 0");
}

TEST_F(IdentityCalls, SetreuidSavesWhatItMakesEffective) {
  EXPECT_EQ(run(SYS_setreuid, {kStays, 7}), 0);
  EXPECT_EQ(users(), "0 7 7 7");
  EXPECT_EQ(run(SYS_setreuid, {7, 0}), 0);  // who is 0 in one of them changes them over
  EXPECT_EQ(users(), "7 0 0 0");
  be(7);
  EXPECT_EQ(run(SYS_setreuid, {kStays, kStays}), 0);
  EXPECT_EQ(run(SYS_setreuid, {8, kStays}), -EPERM);
}

TEST_F(IdentityCalls, GroupsByTheRightOfTheUser) {
  EXPECT_EQ(run(SYS_setregid, {kStays, 9}), 0);
  EXPECT_EQ(groups(), "0 9 9 9");
  EXPECT_EQ(run(SYS_setresgid, {1, 2, 3}), 0);
  EXPECT_EQ(groups(), "1 2 3 2");
  const gid_t list[] = {9, 4};
  fake_.memory.place(0x1000, {reinterpret_cast<const char*>(list), sizeof list});
  EXPECT_EQ(run(SYS_setgroups, {2, 0x1000}), 0);
  EXPECT_EQ(who_.now.groups, (std::vector<gid_t>{4, 9}));
  EXPECT_EQ(run(SYS_getgroups, {1, 0x1000}), -EINVAL);
  EXPECT_EQ(run(SYS_getgroups, {2, 0x2000}), -EFAULT);
  EXPECT_EQ(run(SYS_setgroups, {2, 0x2000}), -EFAULT);
  EXPECT_EQ(run(SYS_setgroups, {65537, 0x1000}), -EINVAL);
}

TEST_F(IdentityCalls, SetfsuidTellsWhatWas) {
  EXPECT_EQ(run(SYS_setfsuid, {7}), 0);
  EXPECT_EQ(users(), "0 0 0 7");
  EXPECT_EQ(run(SYS_setfsuid, {kStays}), 7);
  be(5);
  EXPECT_EQ(run(SYS_setfsuid, {6}), 5);
  EXPECT_EQ(users(), "5 5 5 5");
  EXPECT_EQ(run(SYS_setfsgid, {6}), 5);
}

TEST_F(IdentityCalls, AnswersStayInsideOfWhatIsGiven) {
  be(4294967294U);
  EXPECT_EQ(run(SYS_getuid, {}), 4294967294L);
  fake_.memory.place(0x1000, std::string(12, '\0'));
  EXPECT_EQ(run(SYS_getresuid, {0x1000, 0x1004, 0x1008}), 0);
  EXPECT_EQ(fake_.memory.regions[0x1000], "\xfe\xff\xff\xff\xfe\xff\xff\xff\xfe\xff\xff\xff");
  EXPECT_EQ(run(SYS_getresgid, {0x1000, 0, 0x1008}), -EFAULT);
}

TEST_F(IdentityCalls, AreStoppedOnlyWhereSomebodyIsAnother) {
  const FilterPlan other =
      filter_plan(static_cast<unsigned>(Trap::kPaths) | static_cast<unsigned>(Trap::kObjects));
  const FilterPlan own = filter_plan(static_cast<unsigned>(Trap::kIdentity));
  for (const size_t nr : {SYS_getuid, SYS_geteuid, SYS_getresgid, SYS_setuid, SYS_setgroups}) {
    EXPECT_EQ(other.actions[nr], FilterAction::kAllow) << nr;
    EXPECT_EQ(own.actions[nr], FilterAction::kTrace) << nr;
  }
}

}  // namespace
}  // namespace viewsh::testing

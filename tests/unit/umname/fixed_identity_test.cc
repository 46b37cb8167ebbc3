#include "fixed_identity.h"

#include <gtest/gtest.h>

namespace viewsh {
namespace {

const FixedIdentity::User kUser{1000, 1001, {27, 4}};

TEST(FixedIdentity, WhatIsNotAskedForIsTheUsers) {
  const FixedIdentity same(kUser, {});
  EXPECT_EQ(same.credentials().euid, 1000U);
  EXPECT_EQ(same.credentials().egid, 1001U);
  EXPECT_EQ(same.credentials().groups, (std::vector<gid_t>{4, 27}));
  EXPECT_EQ(same.shown_uid(0), 0U);
  EXPECT_EQ(same.shown_uid(1000), 1000U);
}

TEST(FixedIdentity, GroupsGoWithTheGid) {
  const FixedIdentity root(kUser, {0, 0, std::nullopt});
  EXPECT_EQ(root.credentials().groups, (std::vector<gid_t>{0}));
  const FixedIdentity none(kUser, {0, 0, std::vector<gid_t>{}});
  EXPECT_TRUE(none.credentials().groups.empty());
  const FixedIdentity some(kUser, {std::nullopt, 5, std::vector<gid_t>{9, 3}});
  EXPECT_EQ(some.credentials().groups, (std::vector<gid_t>{3, 9}));
  EXPECT_EQ(some.credentials().ruid, 1000U);
}

TEST(FixedIdentity, OnlyTheUsersIdsAreOthers) {
  const FixedIdentity root(kUser, {0, 0, std::nullopt});
  EXPECT_EQ(root.shown_uid(1000), 0U);
  EXPECT_EQ(root.shown_uid(1001), 1001U);  // of the group
  EXPECT_EQ(root.shown_gid(1001), 0U);
  EXPECT_EQ(root.shown_gid(27), 27U);
  EXPECT_EQ(root.shown_uid(0), 0U);
}

TEST(FixedIdentity, NobodyBecomesAnother) {
  FixedIdentity root(kUser, {0, 0, std::nullopt});
  Credentials wanted = root.credentials();
  EXPECT_TRUE(root.change(wanted).ok());
  wanted.fsuid = 33;
  EXPECT_EQ(root.change(wanted).error(), EPERM);
  wanted = root.credentials();
  wanted.groups.push_back(5);
  EXPECT_EQ(root.change(wanted).error(), EPERM);
  EXPECT_EQ(root.credentials().fsuid, 0U);
}

}  // namespace
}  // namespace viewsh

#include "vfs/listing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::host_fs;
using testing::mount_of;
using testing::TempTree;

std::vector<DirEntry> entries_of(const std::set<std::string>& names) {
  std::vector<DirEntry> out;
  uint64_t ino = 100;
  for (const std::string& name : names) out.push_back({name, ++ino, NodeType::kRegular});
  return out;
}

/// Reads up to `count` entries from a position on, which moves along.
std::vector<std::string> read(const Listing& listing, uint64_t* position, size_t count) {
  std::vector<std::string> out;
  for (auto it = listing.from(*position); it != listing.end() && out.size() < count; ++it) {
    out.push_back(it->name);
    *position = it->next;
  }
  return out;
}

std::set<std::string> numbered(int count) {
  std::set<std::string> out;
  for (int i = 0; i < count; ++i) out.insert("name" + std::to_string(i));
  return out;
}

TEST(Listing, BeginsWithTheDots) {
  Listing listing(entries_of({"a"}), 5, 6);
  auto it = listing.from(0);
  EXPECT_EQ(it->name, ".");
  EXPECT_EQ(it->ino, 5U);
  EXPECT_EQ(it->type, NodeType::kDirectory);
  ++it;
  EXPECT_EQ(it->name, "..");
  EXPECT_EQ(it->ino, 6U);
  ++it;
  EXPECT_EQ(it->name, "a");
  EXPECT_EQ(it->ino, 101U);
  EXPECT_EQ(++it, listing.end());
}

TEST(Listing, PositionsRiseAndFitIntoLseek) {
  Listing listing(entries_of(numbered(20000)), 1, 1);
  uint64_t last = 0;
  size_t count = 0;
  for (auto it = listing.from(0); it != listing.end(); ++it, ++count) {
    ASSERT_GT(it->next, last);
    last = it->next;
  }
  EXPECT_EQ(count, 20002U);
  EXPECT_LT(last, uint64_t{1} << 33);
  EXPECT_EQ(listing.from(last), listing.end());
}

TEST(Listing, EveryPartitionReadsEachNameOnce) {
  const std::set<std::string> names = numbered(500);
  Listing listing(entries_of(names), 1, 1);
  for (size_t step : {1U, 2U, 3U, 7U, 100U, 1000U}) {
    uint64_t position = 0;
    std::multiset<std::string> seen;
    while (true) {
      std::vector<std::string> some = read(listing, &position, step);
      if (some.empty()) break;
      seen.insert(some.begin(), some.end());
    }
    EXPECT_EQ(seen.size(), names.size() + 2);
    for (const std::string& name : names) ASSERT_EQ(seen.count(name), 1U) << name;
  }
}

TEST(Listing, SeekGoesBackToWhatFollowed) {
  Listing listing(entries_of(numbered(50)), 1, 1);
  uint64_t position = 0;
  std::map<uint64_t, std::string> after;
  while (true) {
    const uint64_t told = position;
    std::vector<std::string> one = read(listing, &position, 1);
    if (one.empty()) break;
    after[told] = one[0];
  }
  for (const auto& [told, name] : after) {
    uint64_t again = told;
    EXPECT_EQ(read(listing, &again, 1), std::vector<std::string>{name});
  }
}

/// POSIX: names that are there all the time are given exactly once, whatever comes and goes
/// meanwhile.
TEST(Listing, PlacesStayWhileNamesComeAndGo) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 dice(seed);
  for (int round = 0; round < 20; ++round) {
    std::set<std::string> staying = numbered(100);
    std::set<std::string> all = staying;
    std::multiset<std::string> seen;
    uint64_t position = 0;
    while (true) {
      for (int i = 0; i < 20; ++i) {
        const std::string other = "other" + std::to_string(dice() % 200);
        if (all.count(other) != 0) {
          all.erase(other);
        } else {
          all.insert(other);
        }
      }
      Listing now(entries_of(all), 1, 1);
      std::vector<std::string> some = read(now, &position, 1 + dice() % 9);
      if (some.empty()) break;
      seen.insert(some.begin(), some.end());
    }
    for (const std::string& name : staying) ASSERT_EQ(seen.count(name), 1U) << name;
    for (const std::string& name : seen) ASSERT_EQ(seen.count(name), 1U) << name;
  }
}

TEST(Listing, ADirectoryThatIsEmptiedWhileItIsRead) {
  std::set<std::string> names = numbered(300);
  uint64_t position = 0;
  size_t removed = 0;
  while (true) {  // rm -r
    Listing now(entries_of(names), 1, 1);
    std::vector<std::string> some = read(now, &position, 7);
    if (some.empty()) break;
    for (const std::string& name : some) removed += names.erase(name);
  }
  EXPECT_EQ(removed, 300U);
  EXPECT_TRUE(names.empty());
}

/// The listing of a directory with a mount point that isn't there and one that must not be shown.
class ListingOf : public ::testing::Test {
 protected:
  ListingOf() {
    tree_.file("d/a");
    tree_.file("d/b");
    tree_.dir("other");
    auto view = std::make_shared<View>(mount_of("/", host_fs(tree_.root())));
    view = view->with(mount_of("/d/new", host_fs(tree_.host("other"))),
                      MountName{"new", false, NodeType::kDirectory});
    view_ = view->with(mount_of("/d/b", host_fs(tree_.host("other"))),
                       MountName{"b", true, NodeType::kDirectory});
  }
  std::vector<std::string> names(const std::string& dir, bool fresh) {
    Result<Walked> walked = walk(*view_, {}, dir, {.want_exists = true}, {}, nullptr);
    EXPECT_TRUE(walked.ok());
    Result<const Listing*> listing = listing_of(*view_, *walked, fresh);
    EXPECT_TRUE(listing.ok());
    std::vector<std::string> out;
    for (auto it = (*listing)->from(0); it != (*listing)->end(); ++it) out.push_back(it->name);
    std::sort(out.begin(), out.end());
    return out;
  }
  TempTree tree_;
  std::shared_ptr<const View> view_;
};

TEST_F(ListingOf, IsCorrectedByTheView) {
  EXPECT_EQ(names("/d", true), (std::vector<std::string>{".", "..", "a", "new"}));
}

TEST_F(ListingOf, IsReadAnewFromTheBeginning) {
  names("/d", true);
  tree_.file("d/c");
  EXPECT_EQ(names("/d", false), (std::vector<std::string>{".", "..", "a", "new"}));
  EXPECT_EQ(names("/d", true), (std::vector<std::string>{".", "..", "a", "c", "new"}));
  EXPECT_EQ(names("/d", false), (std::vector<std::string>{".", "..", "a", "c", "new"}));
}

TEST_F(ListingOf, InodesAreThoseOfTheView) {
  Result<Walked> walked = walk(*view_, {}, "/d", {.want_exists = true}, {}, nullptr);
  Result<const Listing*> listing = listing_of(*view_, *walked, true);
  struct stat d {};
  struct stat top {};
  struct stat other {};
  ASSERT_EQ(lstat(tree_.host("d").c_str(), &d), 0);
  ASSERT_EQ(lstat(tree_.root().c_str(), &top), 0);
  ASSERT_EQ(lstat(tree_.host("other").c_str(), &other), 0);
  for (auto it = (*listing)->from(0); it != (*listing)->end(); ++it) {
    const std::map<std::string, ino_t> expected = {
        {".", d.st_ino}, {"..", top.st_ino}, {"new", other.st_ino}};
    auto found = expected.find(it->name);
    if (found == expected.end()) continue;
    EXPECT_EQ(it->ino, found->second) << it->name;
  }
}

/// One file system at two places of a view, a mount below one of them: a reader in the middle of
/// one listing must not get on with that of the other.
TEST_F(ListingOf, TwoPlacesOfOneFileSystemAreTwoListings) {
  std::shared_ptr<FileSystem> shared = host_fs(tree_.host("d"));
  std::shared_ptr<const View> view = view_->with(mount_of("/p", shared), std::nullopt);
  view = view->with(mount_of("/q", shared), std::nullopt);
  view_ = view->with(mount_of("/p/only", host_fs(tree_.host("other"))),
                     MountName{"only", false, NodeType::kDirectory});
  EXPECT_EQ(names("/q", true), (std::vector<std::string>{".", "..", "a", "b"}));
  EXPECT_EQ(names("/p", true), (std::vector<std::string>{".", "..", "a", "b", "only"}));
  EXPECT_EQ(names("/q", false), (std::vector<std::string>{".", "..", "a", "b"}));
}

TEST_F(ListingOf, ErrorsOfTheFileSystem) {
  Result<Walked> walked = walk(*view_, {}, "/d/a", {.want_exists = true}, {}, nullptr);
  ASSERT_TRUE(walked.ok());
  Result<const Listing*> listing = listing_of(*view_, *walked, true);
  EXPECT_EQ(listing.error(), ENOTDIR);
}

}  // namespace
}  // namespace viewsh

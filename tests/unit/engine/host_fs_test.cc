#include "vfs/host_fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "base/path.h"
#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::TempTree;

/// What the interface asks of resolve(), one lstat(2) a component.
Result<Found> plain_resolve(const std::string& root, const std::string& base,
                            const std::string& rest, ResolveFlags flags) {
  Found found;
  std::string full = join_path(root, base);
  size_t at = 0;
  while (true) {
    const size_t end = std::min(rest.find('/', at), rest.size());
    const bool last = end == rest.size();
    full = join_path(full, rest.substr(at, end - at));
    found.consumed = end;
    found.host = full;
    struct stat st {};
    if (lstat(full.c_str(), &st) < 0) {
      if (errno != ENOENT || !last) return Errno::last();
      found.kind = Found::Kind::kMissing;
      return found;
    }
    if (S_ISLNK(st.st_mode) && (!last || flags.follow_last)) {
      char text[PATH_MAX];
      const ssize_t n = readlink(full.c_str(), text, sizeof text);
      found.kind = Found::Kind::kLink;
      found.target.assign(text, static_cast<size_t>(n));
      return found;
    }
    if (last) {
      found.type = type_of_mode(st.st_mode);
      return found;
    }
    at = end + 1;
  }
}

class HostFsTest : public ::testing::Test {
 protected:
  Result<Found> resolve(const std::string& rest, ResolveFlags flags = {true, true},
                        const std::string& base = "") {
    return fs_.resolve(base, rest, flags, caller_);
  }
  TempTree tree_;
  std::shared_ptr<PathCache> cache_ = std::make_shared<PathCache>();
  HostFs fs_{tree_.root(), cache_};
  Caller caller_;
};

TEST_F(HostFsTest, HostPaths) {
  HostFs root("/", cache_);
  EXPECT_EQ(root.host_path(""), "/");
  EXPECT_EQ(root.host_path("a/b"), "/a/b");
  EXPECT_EQ(fs_.host_path(""), tree_.root());
  EXPECT_EQ(fs_.host_path("a/b"), tree_.root() + "/a/b");
  EXPECT_EQ(fs_.reverse(tree_.root() + "/a"), "a");
  EXPECT_EQ(fs_.reverse(tree_.root()), "");
  EXPECT_EQ(fs_.reverse(tree_.root() + "x"), std::nullopt);
  EXPECT_EQ(root.reverse("/a"), "a");
}

TEST_F(HostFsTest, AgreesWithLstatOnRandomTrees) {
  static const std::vector<std::string> kNames = {"a", "b", "c", "f", "g", "l", "m"};
  const uint64_t today = std::random_device()();
  for (uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{4}, uint64_t{5}, today}) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 dice(seed);
    auto name = [&] { return kNames[dice() % kNames.size()]; };
    const std::string top = "s" + std::to_string(seed);
    std::vector<std::string> dirs{top};
    tree_.dir(top);
    for (int i = 0; i < 40; ++i) {
      const std::string path = dirs[dice() % dirs.size()] + "/" + name();
      const std::string host = tree_.host(path);
      switch (dice() % 3) {
        case 0:
          if (mkdir(host.c_str(), 0700) == 0) dirs.push_back(path);
          break;
        case 1:
          close(open(host.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
          break;
        default:
          (void)!symlink((dice() % 2 != 0 ? name() : "../" + name()).c_str(), host.c_str());
      }
    }
    for (int i = 0; i < 3000; ++i) {
      const std::string base = dirs[dice() % dirs.size()];
      std::string rest = name();
      for (uint64_t more = dice() % 4; more > 0; --more) rest += "/" + name();
      const ResolveFlags flags{dice() % 2 == 0, true};
      if (dice() % 50 == 0) cache_->clear();
      if (dice() % 100 == 0) cache_->tick();
      SCOPED_TRACE(::testing::Message()
                   << base << " : " << rest << " follow " << flags.follow_last);
      Result<Found> expected = plain_resolve(tree_.root(), base, rest, flags);
      Result<Found> got = resolve(rest, flags, base);
      ASSERT_EQ(got.error().value(), expected.error().value());
      if (!got.ok()) continue;
      ASSERT_EQ(got->kind, expected->kind);
      ASSERT_EQ(got->consumed, expected->consumed);
      ASSERT_EQ(got->target, expected->target);
      ASSERT_EQ(got->host, expected->host);
      ASSERT_TRUE(got->in_place);
      if (got->kind == Found::Kind::kNode) {
        ASSERT_TRUE(got->exists);
        ASSERT_EQ(got->type, expected->type);
      }
    }
  }
}

TEST_F(HostFsTest, SearchPermissionIsChecked) {
  if (geteuid() == 0) GTEST_SKIP() << "root may search everything";
  tree_.file("shut/d/f");
  ASSERT_EQ(chmod(tree_.host("shut").c_str(), 0), 0);
  EXPECT_EQ(resolve("shut/d/f").error(), EACCES);
  EXPECT_EQ(resolve("shut/d").error(), EACCES);
  EXPECT_TRUE(resolve("shut").ok());
  ASSERT_EQ(chmod(tree_.host("shut").c_str(), 0700), 0);
  EXPECT_TRUE(resolve("shut/d/f").ok());
}

TEST_F(HostFsTest, LongNames) {
  EXPECT_EQ(resolve(std::string(256, 'n')).error(), ENAMETOOLONG);
  EXPECT_EQ(resolve(std::string(256, 'n') + "/x").error(), ENAMETOOLONG);
  EXPECT_EQ(resolve(std::string(255, 'n'))->kind, Found::Kind::kMissing);
}

TEST_F(HostFsTest, AFileAsRoot) {
  tree_.file("f");
  HostFs file(tree_.host("f"), cache_);
  Result<Found> found = file.resolve("", "", {true, true}, caller_);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->type, NodeType::kRegular);
  EXPECT_EQ(file.resolve("", "x", {true, true}, caller_).error(), ENOTDIR);
  EXPECT_EQ(file.resolve("", "x/y", {true, true}, caller_).error(), ENOTDIR);
}

TEST_F(HostFsTest, ListAndAttributes) {
  tree_.file("d/f");
  tree_.link("d/l", "nowhere");
  tree_.dir("d/s");
  Result<std::vector<DirEntry>> entries = fs_.list("d");
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(entries->size(), 3U);
  for (const DirEntry& entry : *entries) {
    Result<Attr> attr = fs_.getattr("d/" + entry.name);
    ASSERT_TRUE(attr.ok());
    EXPECT_EQ(attr->stx_ino, entry.ino);
    EXPECT_EQ(type_of_mode(attr->stx_mode), entry.type);
  }
  EXPECT_EQ(fs_.list("d/f").error(), ENOTDIR);
  EXPECT_EQ(fs_.list("none").error(), ENOENT);
  EXPECT_EQ(fs_.getattr("none").error(), ENOENT);
}

TEST_F(HostFsTest, AChangeThroughItIsSeenAtOnce) {
  tree_.dir("d/e");
  tree_.link("l", "d");
  EXPECT_EQ(resolve("d/e/x")->kind, Found::Kind::kMissing);
  EXPECT_EQ(resolve("l/e")->kind, Found::Kind::kLink);
  ASSERT_TRUE(fs_.rename("d", "gone", 0, caller_).ok());
  EXPECT_EQ(resolve("d/e/x").error(), ENOENT);
  ASSERT_TRUE(fs_.unlink("l", caller_).ok());
  EXPECT_EQ(resolve("l/e").error(), ENOENT);
  ASSERT_TRUE(fs_.mkdir("l", 0777, caller_).ok());
  EXPECT_EQ(resolve("l/e")->kind, Found::Kind::kMissing);
  ASSERT_TRUE(fs_.rmdir("l", caller_).ok());
  ASSERT_TRUE(fs_.symlink("l", "gone", caller_).ok());
  EXPECT_EQ(resolve("l/e")->target, "gone");
}

TEST_F(HostFsTest, SubtreesShareTheCache) {
  tree_.file("d/e/f");
  Result<std::shared_ptr<FileSystem>> sub = fs_.subtree("d");
  ASSERT_TRUE(sub.ok());
  EXPECT_EQ((*sub)->resolve("", "e/f", {true, true}, caller_)->host, tree_.host("d/e/f"));
  EXPECT_TRUE(cache_->is_plain_dir(tree_.host("d/e")));
  ASSERT_TRUE((*sub)->rename("e", "e2", 0, caller_).ok());
  EXPECT_FALSE(cache_->is_plain_dir(tree_.host("d/e")));
  EXPECT_EQ(fs_.subtree("none").error(), ENOENT);
}

TEST(PathCache, RemembersDirectoriesAndLinks) {
  PathCache cache;
  cache.tick();
  cache.put_plain_dir("/d");
  cache.put_link("/l", "target");
  EXPECT_TRUE(cache.is_plain_dir("/d"));
  EXPECT_FALSE(cache.is_plain_dir("/l"));
  EXPECT_EQ(cache.link("/d"), nullptr);
  ASSERT_NE(cache.link("/l"), nullptr);
  EXPECT_EQ(*cache.link("/l"), "target");
  EXPECT_EQ(cache.link("/none"), nullptr);
  cache.put_plain_dir("/l");
  EXPECT_EQ(cache.link("/l"), nullptr);
  EXPECT_TRUE(cache.is_plain_dir("/l"));
  cache.clear();
  EXPECT_FALSE(cache.is_plain_dir("/d"));
}

TEST(PathCache, KeepsNothingWhileFrozen) {
  PathCache cache;
  cache.tick();
  cache.put_plain_dir("/d");
  cache.freeze();
  EXPECT_FALSE(cache.is_plain_dir("/d"));
  cache.put_plain_dir("/d");
  cache.put_link("/l", "x");
  EXPECT_FALSE(cache.is_plain_dir("/d"));
  EXPECT_EQ(cache.link("/l"), nullptr);
  cache.freeze();
  cache.thaw();
  cache.put_plain_dir("/d");
  EXPECT_FALSE(cache.is_plain_dir("/d")) << "a second change is under way";
  cache.thaw();
  cache.put_plain_dir("/d");
  EXPECT_TRUE(cache.is_plain_dir("/d"));
}

TEST(PathCache, ForgetsAfterItsLifetime) {
  PathCache cache;
  cache.tick();
  cache.put_plain_dir("/d");
  cache.put_link("/l", "x");
  cache.tick();
  EXPECT_TRUE(cache.is_plain_dir("/d"));
  std::this_thread::sleep_for(std::chrono::nanoseconds(PathCache::kLifetimeNs) +
                              std::chrono::milliseconds(20));
  cache.tick();
  EXPECT_FALSE(cache.is_plain_dir("/d"));
  EXPECT_EQ(cache.link("/l"), nullptr);
}

TEST(PathCache, StaysSmall) {
  PathCache cache;
  cache.tick();
  for (size_t i = 0; i < 3 * PathCache::kMaxEntries; ++i)
    cache.put_plain_dir("/" + std::to_string(i));
  size_t kept = 0;
  for (size_t i = 0; i < 3 * PathCache::kMaxEntries; ++i) {
    if (cache.is_plain_dir("/" + std::to_string(i))) ++kept;
  }
  EXPECT_LE(kept, PathCache::kMaxEntries);
  EXPECT_GT(kept, 0U);
}

}  // namespace
}  // namespace viewsh

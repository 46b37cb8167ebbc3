#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/path.h"
#include "temp_tree.h"
#include "vfs/walk.h"
#include "viewsh/unique_fd.h"

namespace viewsh {
namespace {

using testing::host_fs;
using testing::mount_of;
using testing::same_object;
using testing::TempTree;

/// Seeds that are always tried, and one of today's; a failure prints its own. VIEWSH_TEST_SEEDS:
/// how many, for a long run.
std::vector<uint64_t> seeds(uint64_t count) {
  if (const char* wanted = getenv("VIEWSH_TEST_SEEDS")) count = strtoull(wanted, nullptr, 10);
  std::vector<uint64_t> out;
  for (uint64_t i = 1; i <= count; ++i) out.push_back(i);
  out.push_back(std::random_device()());
  std::cout << "today's seed: " << out.back() << "\n";
  return out;
}

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }
  bool one_in(size_t n) { return below(n) == 0; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::mt19937_64 engine_;
};

/// A random tree in a directory of the host.
struct RandomTree {
  std::vector<std::string> dirs{""};  ///< canonical, no link on the way
  std::vector<std::string> files;

  /// A text of components: names, dots and surplus slashes.
  static std::string text(Dice& dice) {
    static const std::vector<std::string> kParts = {"a",  "b",  "c",  "d", "e",  "l0", "l1", "l2",
                                                    "l3", "f0", "f1", ".", "..", "..", "n"};
    std::string out;
    const size_t count = 1 + dice.below(6);
    for (size_t i = 0; i < count; ++i) {
      out += (i == 0 ? "" : dice.one_in(8) ? "//" : "/") + dice.pick(kParts);
    }
    if (dice.one_in(6)) out += dice.one_in(2) ? "/" : "/.";
    return out;
  }

  /// `top`: what an absolute link begins with.
  void fill(const TempTree& tree, const std::string& base, const std::string& top, Dice& dice) {
    static const std::vector<std::string> kNames = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 14; ++i) {
      const std::string dir = join_path(dice.pick(dirs), dice.pick(kNames));
      if (std::find(dirs.begin(), dirs.end(), dir) != dirs.end()) continue;
      tree.dir(join_path(base, dir));
      dirs.push_back(dir);
    }
    for (int i = 0; i < 8; ++i) {
      const std::string file = join_path(dice.pick(dirs), "f" + std::to_string(dice.below(2)));
      tree.file(join_path(base, file), file);
      files.push_back(file);
    }
    for (int i = 0; i < 22; ++i) {
      const std::string link = tree.host(
          join_path(base, join_path(dice.pick(dirs), "l" + std::to_string(dice.below(4)))));
      std::string target = text(dice);
      if (dice.one_in(3)) target = top + "/" + target;
      // EEXIST: the name is taken, one link less.
      if (symlink(target.c_str(), link.c_str()) < 0) {
        EXPECT_EQ(errno, EEXIST);
      }
    }
  }
};

/// path_resolution(7) put down plainly: one lstat(2) a component, mounts by the longest prefix.
class Reference {
 public:
  struct Place {
    std::string path;
    bool missing = false;
  };
  std::map<std::string, std::string> mounts;  ///< view path -> host path

  std::string host(const std::string& view) const {
    std::string best = "/";
    for (const auto& [at, root] : mounts) {
      if (is_at_or_below(view, at) && at.size() > best.size()) best = at;
    }
    const std::string below(below_of(view, best));
    const std::string& root = mounts.at(best);
    return below.empty() ? root : join_path(root, below);
  }

  Result<Place> walk(const std::string& start, std::string text, bool follow) const {
    std::string position = text[0] == '/' ? "/" : start;
    int links = 0;
    size_t at = 0;
    while (true) {
      at = text.find_first_not_of('/', at);
      if (at == std::string::npos) break;
      const size_t end = std::min(text.find('/', at), text.size());
      const std::string name = text.substr(at, end - at);
      const bool slash = end < text.size();
      const bool last = text.find_first_not_of('/', end) == std::string::npos;
      at = end;
      struct stat st {};
      if (lstat(host(position).c_str(), &st) < 0) return Errno::last();
      if (!S_ISDIR(st.st_mode)) return Errno(ENOTDIR);
      if (name == ".") continue;
      if (name == "..") {
        position = parent_path(position);
        continue;
      }
      const std::string next = join_path(position, name);
      if (lstat(host(next).c_str(), &st) < 0) {
        if (errno == ENOENT && last) return Place{next, true};
        return Errno::last();
      }
      if (S_ISLNK(st.st_mode) && (!last || slash || follow)) {
        if (++links > 40) return Errno(ELOOP);
        char target[PATH_MAX];
        const ssize_t n = readlink(host(next).c_str(), target, sizeof target);
        text = std::string(target, static_cast<size_t>(n)) + text.substr(end);
        at = 0;
        if (text[0] == '/') position = "/";
        continue;
      }
      position = next;
      if (slash && last && !S_ISDIR(st.st_mode)) return Errno(ENOTDIR);
    }
    return Place{position, false};
  }
};

/// Random views over a random tree. Either the view's root is the host's and the tree a part of it,
/// or the tree is the view's root.
class Scene {
 public:
  Scene(uint64_t seed, bool own_root) : dice_(seed), cache_(std::make_shared<PathCache>()) {
    top_ = own_root ? "" : tree_.host("t");
    tree_.dir("t");
    random_.fill(tree_, "t", top_, dice_);
    const std::string root = own_root ? tree_.host("t") : "/";
    reference_.mounts["/"] = root;
    view_ = std::make_shared<View>(mount_of("/", host_fs(root, cache_)));
    const size_t mounts = dice_.below(5);
    for (size_t i = 0; i < mounts; ++i) add_mount();
  }

  void check(const std::string& text, bool follow, bool want_exists) {
    WalkStart start = random_start();
    const std::string kernel_dir = reference_.host(start.view_dir);
    std::string mounts;
    for (const auto& [at, root] : reference_.mounts) mounts += "\n  " + at + " <- " + root;
    SCOPED_TRACE(::testing::Message() << "from " << start.view_dir << " to " << text << " follow "
                                      << follow << " want_exists " << want_exists << mounts);
    Result<Reference::Place> expected = reference_.walk(start.view_dir, text, follow);
    Result<Walked> got =
        walk(*view_, start, text, {.follow = follow, .want_exists = want_exists}, caller_, nullptr);
    // What was not looked at may be below a mounted file: the kernel will say ENOTDIR.
    const bool unseen = got.ok() && !want_exists && !got->found.exists;
    if (unseen && expected.error() == ENOTDIR) return;
    ASSERT_EQ(got.error().value(), expected.error().value());
    if (!got.ok()) return;
    ASSERT_EQ(got->view_path, expected->path);
    ASSERT_EQ(got->found.host, reference_.host(expected->path));
    const bool missing = got->found.kind == Found::Kind::kMissing;
    if (missing || got->found.exists || want_exists) {
      ASSERT_EQ(missing, expected->missing);
    }
    if (start.kernel_dir.empty() && text[0] != '/') {
      ASSERT_FALSE(got->identity);
    }
    if (got->identity) check_identity(kernel_dir, text, follow, *got, expected->missing);
    if (got->identity) ++identical_;
  }
  std::string random_text() {
    std::string text = RandomTree::text(dice_);
    if (dice_.one_in(3)) text = top_ + "/" + text;
    return text;
  }
  Dice& dice() { return dice_; }
  int identical() const { return identical_; }
  bool has_mounts() const { return reference_.mounts.size() > 1; }

 private:
  WalkStart random_start() {
    for (int i = 0; i < 50; ++i) {
      const std::string dir = top_ + "/" + dice_.pick(random_.dirs);
      const std::string canonical =
          dir.size() > 1 && dir.back() == '/' ? dir.substr(0, dir.size() - 1) : dir;
      struct stat st {};
      if (lstat(reference_.host(canonical).c_str(), &st) < 0 || !S_ISDIR(st.st_mode)) continue;
      return {canonical, dice_.one_in(8) ? "" : reference_.host(canonical)};
    }
    return {"/", reference_.host("/")};
  }

  void add_mount() {
    const bool file = dice_.one_in(4);
    if (file && random_.files.empty()) return;
    std::string at = top_ + "/" + (file ? dice_.pick(random_.files) : dice_.pick(random_.dirs));
    if (!file && dice_.one_in(3)) at = join_path(at, "n");
    if (at.back() == '/') return;
    struct stat st {};
    if (lstat(reference_.host(parent_path(at)).c_str(), &st) < 0 || !S_ISDIR(st.st_mode)) return;
    if (lstat(reference_.host(at).c_str(), &st) == 0 && S_ISDIR(st.st_mode) == file) return;
    if (S_ISLNK(st.st_mode)) return;
    const std::string source =
        tree_.host(join_path("t", file ? dice_.pick(random_.files) : dice_.pick(random_.dirs)));
    std::erase_if(reference_.mounts,
                  [&](const auto& old) { return is_at_or_below(old.first, at); });
    reference_.mounts[at] = source;
    view_ = view_->with(mount_of(at, host_fs(source, cache_)), std::nullopt);
  }

  /// The kernel, given the same text, is at found.host.
  void check_identity(const std::string& kernel_dir, const std::string& text, bool follow,
                      const Walked& walked, bool missing) {
    UniqueFd dir(open(kernel_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(dir);
    const int flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    UniqueFd fd(openat(dir.get(), text.c_str(), flags));
    struct stat there {};
    struct stat ours {};
    if (missing) {
      ASSERT_FALSE(fd);
      ASSERT_EQ(errno, ENOENT);
      if (walked.must_be_dir || !follow || !is_at_or_below(walked.found.host, tree_.root())) return;
      fd.reset(openat(dir.get(), text.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      ASSERT_TRUE(fd) << strerror(errno);
      ASSERT_EQ(fstat(fd.get(), &there), 0);
      ASSERT_EQ(lstat(walked.found.host.c_str(), &ours), 0);
      EXPECT_TRUE(same_object(there, ours)) << walked.found.host;
      unlink(walked.found.host.c_str());
      cache_->clear();
      return;
    }
    ASSERT_TRUE(fd) << strerror(errno);
    ASSERT_EQ(fstat(fd.get(), &there), 0);
    ASSERT_EQ(lstat(walked.found.host.c_str(), &ours), 0);
    EXPECT_TRUE(same_object(there, ours)) << walked.found.host;
  }

  Dice dice_;
  TempTree tree_;
  std::string top_;
  RandomTree random_;
  std::shared_ptr<PathCache> cache_;
  std::shared_ptr<const View> view_;
  Reference reference_;
  Caller caller_;
  int identical_ = 0;
};

void check_scenes(bool own_root) {
  for (uint64_t seed : seeds(40)) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Scene scene(seed, own_root);
    for (int i = 0; i < 300 && !::testing::Test::HasFailure(); ++i) {
      const std::string text = scene.random_text();
      const bool follow = !scene.dice().one_in(3);
      scene.check(text, follow, scene.dice().one_in(2));
    }
    if (::testing::Test::HasFailure()) return;
    EXPECT_GT(scene.identical(), 0);
  }
}

TEST(WalkProperty, AgreesWithTheReferenceOnAHostRoot) { check_scenes(false); }
TEST(WalkProperty, AgreesWithTheReferenceOnAForeignRoot) { check_scenes(true); }

/// Where nothing is mounted the kernel itself is the reference, RESOLVE_* flags included; and every
/// text has to be found identical, since a rewritten call costs more.
TEST(WalkProperty, AgreesWithOpenat2WhereNothingIsMounted) {
  const std::vector<uint64_t> kinds = {0,
                                       RESOLVE_BENEATH,
                                       RESOLVE_IN_ROOT,
                                       RESOLVE_NO_SYMLINKS,
                                       RESOLVE_NO_MAGICLINKS,
                                       RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  for (uint64_t seed : seeds(25)) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Dice dice(seed);
    TempTree tree;
    RandomTree random;
    random.fill(tree, "", tree.root(), dice);
    auto cache = std::make_shared<PathCache>();
    View view(mount_of("/", host_fs("/", cache)));
    for (int i = 0; i < 300; ++i) {
      std::string text = RandomTree::text(dice);
      const uint64_t resolve = dice.pick(kinds);
      if (dice.one_in(4)) text = (resolve == RESOLVE_IN_ROOT ? "/" : tree.root() + "/") + text;
      const std::string dir = tree.host(dice.pick(random.dirs));
      const bool follow = !dice.one_in(3);
      SCOPED_TRACE(::testing::Message()
                   << dir << " : " << text << " resolve " << resolve << " follow " << follow);
      UniqueFd dirfd(open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      open_how how{};
      how.flags = static_cast<uint64_t>(O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
      how.resolve = resolve;
      UniqueFd fd;
      int expected = EAGAIN;  // what openat2(2) says while anybody renames or mounts
      while (expected == EAGAIN) {
        fd.reset(
            static_cast<int>(syscall(SYS_openat2, dirfd.get(), text.c_str(), &how, sizeof how)));
        expected = fd ? 0 : errno;
      }
      Result<Walked> got =
          walk(view, {dir, dir}, text, {.follow = follow, .want_exists = true, .resolve = resolve},
               {}, nullptr);
      const int error = !got.ok()                                  ? got.error().value()
                        : got->found.kind == Found::Kind::kMissing ? ENOENT
                                                                   : 0;
      ASSERT_EQ(error, expected);
      if (!got.ok()) continue;
      if (resolve == 0) {
        ASSERT_TRUE(got->identity);
      }
      if (!fd) continue;
      struct stat there {};
      struct stat ours {};
      ASSERT_EQ(fstat(fd.get(), &there), 0);
      ASSERT_EQ(lstat(got->found.host.c_str(), &ours), 0);
      ASSERT_TRUE(same_object(there, ours)) << got->found.host;
    }
  }
}

}  // namespace
}  // namespace viewsh

#include "cli/learn_plan.h"

#include <algorithm>

#include "base/path.h"

namespace viewsh {
namespace {

constexpr size_t kManyFiles = 8;  ///< so many of one directory: it is named in their place
constexpr size_t kMaxMissing = 20;

using Kind = LearnedMount::Kind;

/// Where the view shows what the kernel says: as a whole, or not at all.
const char* kernel_tree(const std::string& path) {
  for (const char* dir : {"/proc", "/sys", "/dev/pts"}) {
    if (is_at_or_below(path, dir)) return dir;
  }
  return nullptr;
}

void add_use(const PathUse& from, PathUse* to) {
  to->how |= from.how;
  to->count += from.count;
  to->programs |= from.programs;
}

std::string common_directory(std::string a, const std::string& b) {
  while (!is_at_or_below(b, a)) a = parent_path(a);
  return a;
}

class Planner {
 public:
  Planner(const AccessRecord& record, const Places& places, const std::set<std::string>& apart)
      : record_(record),
        places_(places),
        apart_(apart),
        paths_(record.paths.begin(), record.paths.end()) {}

  LearnedPlan run(const AskExists& ask) {
    take_kernel_trees();
    find_writable();
    std::vector<std::string> wanted = find_needed();
    std::vector<bool> there = ask(wanted);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (there[i]) add_needed(wanted[i], paths_.at(wanted[i]));
    }
    join_files();
    add_links();
    add_directories();
    drop_covered();
    for (auto& [path, mount] : mounts_) plan_.mounts.push_back(std::move(mount));
    find_missing();
    return std::move(plan_);
  }

 private:
  using Mounts = std::map<std::string, LearnedMount>;

  LearnedMount& put(Kind kind, const std::string& at, const PathUse& use) {
    auto [made, fresh] = mounts_.try_emplace(at);
    LearnedMount& mount = made->second;
    mount.at = at;
    if (fresh || kind == Kind::kWritable) mount.kind = kind;
    add_use(use, &mount.use);
    return mount;
  }

  bool was_made(const std::string& path) const {
    auto found = paths_.find(path);
    return found != paths_.end() && !found->second.existed && found->second.did(Access::kCreated);
  }
  /// The run made it, or a directory that it is in.
  bool is_new(const std::string& path) const {
    for (std::string here = path; here != "/"; here = parent_path(here)) {
      if (was_made(here)) return true;
    }
    return false;
  }
  /// The nearest directory above that the run didn't make itself.
  std::string old_directory(std::string dir) const {
    while (dir != "/" && was_made(dir)) dir = parent_path(dir);
    return dir;
  }
  /// The mount that shows a path and what is below it. Null: only names that lead elsewhere.
  const LearnedMount* cover_of(std::string path) const {
    for (;; path = parent_path(path)) {
      auto found = mounts_.find(path);
      if (found != mounts_.end() && found->second.kind != Kind::kLink) return &found->second;
      if (path == "/") return nullptr;
    }
  }
  bool is_shown(const std::string& path) const {
    const LearnedMount* cover = cover_of(path);
    return cover != nullptr && (cover->kind == Kind::kReadOnly || cover->kind == Kind::kWritable);
  }
  bool leads_to_mounts(const std::string& dir) const {
    auto next = mounts_.upper_bound(dir + "/");
    return next != mounts_.end() && is_at_or_below(next->first, dir);
  }

  void take_kernel_trees() {
    for (auto it = paths_.begin(); it != paths_.end();) {
      const char* tree = kernel_tree(it->first);
      bool own = tree != nullptr || apart_.contains(it->first);
      bool used = tree != nullptr && it->second.existed;
      if (used)
        put(std::string_view(tree) == "/sys" ? Kind::kReadOnly : Kind::kWritable, tree, it->second);
      it = own ? paths_.erase(it) : std::next(it);
    }
  }

  /// A directory in which names come and go.
  void add_writable(const std::string& dir, const PathUse& use) {
    if (is_shown(dir) && cover_of(dir)->kind == Kind::kWritable)
      return add_use(use, &mounts_[cover_of(dir)->at].use);
    if (!places_.is_shared(dir)) {
      put(Kind::kWritable, dir, use).remark = "names were made, changed or removed in it";
      return;
    }
    LearnedMount& mount = put(Kind::kEmpty, dir, use);
    mount.mode = places_.is_temporary(dir) ? "1777" : "755";
    mount.remark = "empty, in memory: what is made here ends with the view";
  }

  void find_writable() {
    std::map<std::string, PathUse> dirs;
    auto changed_names = [](const PathUse& use) {
      return use.did(Access::kCreated) || use.did(Access::kRemoved);
    };
    for (const auto& [path, use] : paths_) {
      if (changed_names(use)) add_use(use, &dirs[old_directory(parent_path(path))]);
      bool nameless = use.type == NodeType::kDirectory && use.did(Access::kWritten);
      if (nameless) add_use(use, &dirs[old_directory(path)]);
      bool lost =
          use.existed && (use.did(Access::kRemoved) || use.did(Access::kMoved)) && !is_new(path);
      if (lost && places_.is_shared(parent_path(path)) &&
          !places_.is_temporary(parent_path(path))) {
        plan_.notes.push_back(places_.text(path) + " was replaced or removed, which needs all of " +
                              places_.text(parent_path(path)) + " to be writable");
      }
    }
    for (const auto& [from, to] : record_.moves) {
      // rename(2) and link(2) don't go from one mount to another.
      std::string here = old_directory(from);
      std::string there = old_directory(to);
      std::string top = common_directory(here, there);
      if (!places_.is_shared(top)) {
        dirs.try_emplace(top);
      } else if (here != there && top != here && top != there) {
        plan_.notes.push_back("names were moved or linked between " + places_.text(here) + " and " +
                              places_.text(there) +
                              ", which are apart here (EXDEV: mv copies then)");
      }
    }
    for (const auto& [dir, use] : dirs) add_writable(dir, use);
  }

  std::vector<std::string> find_needed() {
    std::vector<std::string> wanted;
    for (const auto& [path, use] : paths_) {
      const LearnedMount* cover = cover_of(path);
      if (cover != nullptr && cover->kind == Kind::kWritable) continue;
      bool fresh = is_new(path);
      if (!use.existed && !fresh) continue;
      if (!fresh) {
        wanted.push_back(path);
        continue;
      }
      // Made in a directory that is not to be shown: it alone, if it lasts and was made in place.
      std::string dir = parent_path(path);
      bool lasts = was_made(path) && !was_made(dir) && !use.did(Access::kRemoved) &&
                   !use.did(Access::kMoved);
      if (lasts && !places_.is_temporary(dir) && use.type != NodeType::kSocket)
        wanted.push_back(path);
    }
    return wanted;
  }

  void add_needed(const std::string& path, const PathUse& use) {
    if (path == "/" || use.type == NodeType::kSymlink) return;  // see add_links()
    if (was_made(path)) {
      put(Kind::kWritable, path, use).remark = "made by the run: has to be there the next time";
      return;
    }
    bool directory = use.type == NodeType::kDirectory;
    bool changes = use.did(Access::kWritten) || use.did(Access::kChanged);
    if (directory && !changes && !use.did(Access::kListed)) return;  // see add_directories()
    if (directory && places_.is_shared(path)) {
      std::string what = use.did(Access::kListed) ? " was listed, but is not shown as a whole"
                                                  : " was changed, but is not shown as a whole";
      if (!places_.is_temporary(path)) plan_.notes.push_back(places_.text(path) + what);
      return;
    }
    bool file = directory || use.type == NodeType::kRegular;
    LearnedMount& mount = put(changes || !file ? Kind::kWritable : Kind::kReadOnly, path, use);
    if (places_.is_secret(path))
      mount.remark = "WARNING: looks like a secret; does the program need it?";
  }

  /// Many files of one directory: the directory. The deepest one that has many of them.
  void join_files() {
    std::set<std::pair<size_t, std::string>> dirs;  // the deepest last
    for (const auto& [path, mount] : mounts_) {
      if (mount.kind != Kind::kReadOnly) continue;
      std::string dir = parent_path(path);
      for (size_t depth = components(dir).size(); depth >= 2; --depth, dir = parent_path(dir)) {
        if (!dirs.insert({depth, dir}).second) break;
      }
    }
    for (auto it = dirs.rbegin(); it != dirs.rend(); ++it) {
      const std::string& dir = it->second;
      bool whole = !places_.is_shared(dir) && !Places::is_broad(dir);
      if (whole && !mounts_.contains(dir)) join_files_of(dir);
    }
  }

  void join_files_of(const std::string& dir) {
    std::vector<Mounts::iterator> joined;
    for (auto it = mounts_.upper_bound(dir + "/");
         it != mounts_.end() && is_at_or_below(it->first, dir); ++it) {
      if (it->second.kind == Kind::kReadOnly) joined.push_back(it);
    }
    if (joined.size() < kManyFiles) return;
    LearnedMount whole;
    whole.at = dir;
    for (const Mounts::iterator& one : joined) {
      add_use(one->second.use, &whole.use);
      whole.files += std::max<size_t>(one->second.files, 1);
      mounts_.erase(one);
    }
    mounts_[dir] = std::move(whole);
  }

  void add_links() {
    for (const auto& [path, target] : record_.links) {
      if (target.empty() || kernel_tree(path) != nullptr || is_new(path) || is_shown(path))
        continue;
      if (mounts_.contains(path)) continue;
      auto use = paths_.find(path);
      put(Kind::kLink, path, use == paths_.end() ? PathUse{} : use->second).target = target;
    }
  }

  /// Directories that were there, but of which nothing is needed.
  void add_directories() {
    for (auto it = paths_.rbegin(); it != paths_.rend(); ++it) {
      const auto& [path, use] = *it;
      if (path == "/" || use.type != NodeType::kDirectory || !use.existed || is_new(path)) continue;
      if (is_shown(path) || mounts_.contains(path) || leads_to_mounts(path)) continue;
      LearnedMount& mount = put(Kind::kEmpty, path, use);
      mount.mode = places_.is_temporary(path) ? "1777" : "755";
      mount.remark = "only the directory itself, empty";
    }
  }

  /// What a mount above shows already, with the rights that are needed.
  void drop_covered() {
    std::vector<std::string> covered;
    for (const auto& [path, mount] : mounts_) {
      if (path == "/" || mount.kind == Kind::kEmpty || kernel_tree(path) != nullptr) continue;
      const LearnedMount* cover = cover_of(parent_path(path));
      if (cover == nullptr || cover->kind == Kind::kEmpty) continue;
      bool enough = cover->kind == Kind::kWritable || mount.kind != Kind::kWritable;
      if (enough) covered.push_back(path);
    }
    for (const std::string& path : covered) {
      LearnedMount gone = std::move(mounts_.at(path));
      mounts_.erase(path);
      LearnedMount& cover = mounts_.at(cover_of(path)->at);
      add_use(gone.use, &cover.use);
      if (gone.kind != Kind::kLink) cover.files += std::max<size_t>(gone.files, 1);
    }
  }

  /// Only what a user may miss later: settings that could have been there.
  void find_missing() {
    for (const auto& [path, use] : paths_) {
      bool absent = !use.existed && !use.did(Access::kCreated);
      bool own = (!places_.home().empty() && is_at_or_below(path, places_.home())) ||
                 (!places_.cwd().empty() && is_at_or_below(path, places_.cwd())) ||
                 is_at_or_below(path, "/etc");
      if (!absent || !own || is_shown(path) || plan_.missing.size() == kMaxMissing) continue;
      plan_.missing.push_back(path);
    }
  }

  const AccessRecord& record_;
  const Places& places_;
  const std::set<std::string>& apart_;
  std::map<std::string, PathUse> paths_;
  Mounts mounts_;
  LearnedPlan plan_;
};

}  // namespace

LearnedPlan plan_learned(const AccessRecord& record, const Places& places,
                         const std::set<std::string>& apart, const AskExists& ask) {
  return Planner(record, places, apart).run(ask);
}

}  // namespace viewsh

#include "commit_direct.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "commit_build.h"
#include "cow_host.h"
#include "cow_index.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

bool leaves(const Direct& d) { return d.kind == Direct::Kind::kOut; }

unsigned flags_of(const Direct& d) {
  return d.kind == Direct::Kind::kExchange ? RENAME_EXCHANGE : RENAME_NOREPLACE;
}

Errno renamed(int from_dir, const std::string& from, int to_dir, const std::string& to,
              unsigned flags) {
  if (renameat2(from_dir, from.c_str(), to_dir, to.c_str(), flags) == 0) return {};
  // Somebody else was there first.
  return errno == EEXIST || errno == ENOENT ? Errno(ESTALE) : Errno::last();
}

}  // namespace

std::string DirectChanges::fail(const Direct& d, Errno why) const {
  const std::string path = leaves(d) ? join(d.dir, d.name) : d.own;
  const std::string show = (at_ == "/" ? "" : at_) + "/" + path + ": ";
  if (why == Errno(ESTALE)) return show + "was changed underneath while it was committed";
  return show + why.message();
}

Result<void> DirectChanges::prepare() const {
  if (std::none_of(r_.direct.begin(), r_.direct.end(), leaves)) return {};
  // A commit that was taken back in a hurry may have left it.
  if (mkdirat(layer_, kReplaced, 0700) < 0 && errno != EEXIST) return Errno::last();
  return {};
}

Result<bool> DirectChanges::made(int own, const std::string& leaf, const Direct& d) const {
  const auto now = lstat_at(own, leaf);
  if (!now && now.error() != Errno(ENOENT)) return now.error();
  if (leaves(d)) return now.ok();
  return !now || now->stx_ino != d.ino;
}

Errno DirectChanges::forth(const Dir& lower, int own, const std::string& leaf,
                           const Direct& d) const {
  if (d.kind != Direct::Kind::kIn) {
    const auto there = lstat_in(lower, d.name);
    if (!there) return there.error() == Errno(ENOENT) ? Errno(ESTALE) : there.error();
    if (!is_still(d.there, *there)) return Errno(ESTALE);
  }
  if (leaves(d)) return renamed(lower->get(), d.name, own, leaf, flags_of(d));
  return renamed(own, leaf, lower->get(), d.name, flags_of(d));
}

Errno DirectChanges::back(const Dir& lower, int own, const std::string& leaf,
                          const Direct& d) const {
  if (leaves(d)) return renamed(own, leaf, lower->get(), d.name, flags_of(d));
  const auto there = lstat_in(lower, d.name);
  if (!there && there.error() != Errno(ENOENT)) return there.error();
  const bool same = there && there->stx_ino == d.ino;
  // What came from the layer was replaced or removed since: that name isn't the commit's any more.
  if (d.kind == Direct::Kind::kIn && !same) return {};
  // An undo that stopped had come here before.
  if (there && there->stx_ino == d.there.ino) return {};
  if (!there) return renamed(own, leaf, lower->get(), d.name, RENAME_NOREPLACE);
  if (!same) return Errno(ESTALE);
  return renamed(lower->get(), d.name, own, leaf, flags_of(d));
}

Errno DirectChanges::one(Trees* trees, const Direct& d, Way way, bool fresh) const {
  Dir upper;
  if (!leaves(d)) {
    const auto dir = trees->upper.parent(d.own);
    if (!dir) return dir.error();
    upper = *dir;
  }
  const int own = upper ? upper->get() : replaced_.get();
  const std::string leaf = leaf_of(d.own);
  if (!fresh) {
    const auto is = made(own, leaf, d);
    if (!is) return is.error();
    if (*is == (way == Way::kForth)) return {};
  }
  const auto lower = trees->lower.dir(d.dir, d.dir_ino);
  if (!lower) return lower.error();
  return way == Way::kForth ? forth(*lower, own, leaf, d) : back(*lower, own, leaf, d);
}

bool DirectChanges::begun() const {
  Tree upper(upper_);
  const UniqueFd replaced(openat(layer_, kReplaced, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return std::any_of(r_.direct.begin(), r_.direct.end(), [&](const Direct& d) {
    if (leaves(d)) {
      const auto is = replaced ? made(replaced.get(), d.own, d) : Result<bool>(false);
      return is && *is;
    }
    const auto dir = upper.parent(d.own);
    const auto is = dir ? made((*dir)->get(), leaf_of(d.own), d) : Result<bool>(false);
    return is && *is;
  });
}

std::string DirectChanges::all(Way way, bool fresh, const Told& tell) {
  if (r_.direct.empty()) return {};
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  replaced_.reset(openat(layer_, kReplaced, kFlags));
  if (!replaced_ && errno != ENOENT) return std::string(kReplaced) + ": " + strerror(errno);
  std::vector<Trees> trees(kMaxWorkers, Trees{Tree(lower_), Tree(upper_)});
  // What a worker fails at is the last that it does.
  std::pair<size_t, Errno> failed[kMaxWorkers];
  std::atomic<uint64_t> done{0};
  const size_t count = r_.direct.size();
  const size_t end = spread(count, Load::kCalls, [&](size_t worker, size_t i) {
    const uint64_t before = done.fetch_add(1);
    if (worker == 0) tell(before);
    const Errno why = one(&trees[worker], r_.direct[i], way, fresh);
    if (!(why == 0)) failed[worker] = {i, why};
    return why == 0;
  });
  for (const auto& [i, why] : failed) {
    if (end == count || i != end || why == 0) continue;
    elsewhere_ = why == Errno(EXDEV);
    const bool stop = way == Way::kBack && why == Errno(ESTALE);
    return fail(r_.direct[i], why) + (stop ? "; move it away to go on" : "");
  }
  return {};
}

std::string DirectChanges::apply(bool fresh, const Told& tell) {
  return all(Way::kForth, fresh, tell);
}

std::string DirectChanges::undo(const Told& tell) { return all(Way::kBack, false, tell); }

std::vector<std::string> DirectChanges::undo_each() {
  std::vector<std::string> left;
  if (r_.direct.empty()) return left;
  // Where it isn't, nothing left the lower.
  replaced_.reset(openat(layer_, kReplaced, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  Trees trees{Tree(lower_), Tree(upper_)};
  for (const Direct& d : r_.direct) {
    const Errno why = leaves(d) && !replaced_ ? Errno() : one(&trees, d, Way::kBack, false);
    if (!(why == 0)) left.push_back(fail(d, why));
  }
  return left;
}

std::string DirectChanges::undo_rest() const {
  Tree upper(upper_);
  std::string first;
  for (const TouchedDir& d : r_.upper_dirs) {
    const auto dir = upper.dir(d.path);
    const auto set = dir ? set_attributes((*dir)->get(), ".", d.before) : Errno(dir.error());
    if (!set && first.empty()) first = "upper/" + d.path + ": " + set.error().message();
  }
  if (unlinkat(layer_, kReplaced, AT_REMOVEDIR) < 0 && errno != ENOENT && first.empty()) {
    first = std::string(kReplaced) + ": " + strerror(errno);
  }
  return first;
}

}  // namespace viewsh::viewfs

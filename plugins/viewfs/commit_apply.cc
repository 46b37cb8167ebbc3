#include "commit_apply.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "cow_host.h"
#include "cow_index.h"
#include "host_ops.h"
#include "layer.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

constexpr char kMoveIt[] = "; move what is there now away to go on";

}  // namespace

std::string CommitRun::fail_shown(const std::string& show, Errno why) const {
  if (why == Errno(ESTALE)) return show + ": was changed underneath while it was committed";
  return show + ": " + why.message();
}

std::string CommitRun::fail(const std::string& path, Errno why) const {
  return fail_shown((at_ == "/" ? "" : at_) + "/" + path, why);
}

std::string CommitRun::loosen(bool again) {
  for (const TouchedDir& d : r_.dirs) {
    if (!d.loosen) continue;
    const auto dir = lower_.parent(d.path);
    const auto now = dir ? lstat_in(*dir, leaf_of(d.path)) : Result<Attr>(dir.error());
    const Errno why = now && now->stx_ino != d.ino ? Errno(ESTALE) : now.error();
    if (again && says_gone(why)) continue;
    if (!(why == 0)) return fail(d.path, why);
    const mode_t mode = (d.before.mode & 07777) | S_IRWXU;
    if (fchmodat((*dir)->get(), leaf_of(d.path).c_str(), mode, 0) < 0) {
      return fail(d.path, Errno::last());
    }
  }
  return {};
}

std::string CommitRun::prepare() {
  std::string why = loosen();
  if (!why.empty()) return why;
  const auto done = direct_.prepare();
  return done ? why : std::string(DirectChanges::kReplaced) + ": " + done.error().message();
}

/// Files in upper/ that were opened for a moment get their mode back, should a kill have come then.
std::string CommitRun::lock_upper() {
  for (const LockedUpper& l : r_.locked) {
    const auto dir = upper_.parent(l.path);
    const bool done = dir && fchmodat((*dir)->get(), leaf_of(l.path).c_str(), l.mode, 0) == 0;
    const Errno why = done ? Errno() : (dir ? Errno::last() : dir.error());
    // It may have left the layer already.
    if (!done && why != Errno(ENOENT)) return fail(l.path, why);
  }
  return {};
}

/// `kept`: path in the lower of what is not to be lost.
std::string CommitRun::fail_kept(const std::string& show, const std::string& kept,
                                 const char* how) const {
  return fail_shown(show, Errno(ESTALE)) + "; what it had before is " +
         (lower_path_ == "/" ? "" : lower_path_) + "/" + kept + how;
}

std::string CommitRun::renamed(size_t* done) {
  const Rename* unknown = nullptr;
  const auto count = evidence_.renamed(&unknown);
  if (count) *done = *count;
  if (count) return {};
  const Errno why = count.error();
  const bool moved = why == Errno(ENOENT) || why == Errno(ENOTDIR) || why == Errno(ELOOP);
  return fail_shown(unknown->show, moved ? Errno(ESTALE) : why);
}

std::string CommitRun::half_undone(size_t done) {
  const Rename* r = evidence_.taken_back(done);
  return r == nullptr ? std::string()
                      : fail_shown(r->show, Errno(ESTALE)) + ", or taken back; go on with --undo";
}

std::string CommitRun::step(const Rename& r) {
  const auto from = lower_.dir(r.from_dir, r.from_ino);
  if (!from) return fail_shown(r.show, from.error());
  const auto to = lower_.dir(r.to_dir, r.to_ino);
  if (!to) return fail_shown(r.show, to.error());
  const auto what = lstat_in(*from, r.from_name);
  if (!what)
    return fail_shown(r.show, what.error() == Errno(ENOENT) ? Errno(ESTALE) : what.error());
  const bool exchange = r.kind == Rename::Kind::kExchange;
  bool same = is_still(r.what, *what);
  if (exchange) {
    const auto there = lstat_in(*to, r.to_name);
    same = same && there && is_still(r.there, *there);
  }
  if (!same) return fail_shown(r.show, Errno(ESTALE));
  const unsigned flags = exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  const auto rename = [&](unsigned how) {
    return renameat2((*from)->get(), r.from_name.c_str(), (*to)->get(), r.to_name.c_str(), how);
  };
  if (rename(flags) == 0) return {};
  return fail_shown(r.show, Errno::last() == Errno(EEXIST) ? Errno(ESTALE) : Errno::last());
}

std::string CommitRun::apply() {
  const size_t total = r_.in_place.size() + r_.direct.size() + r_.renames.size();
  for (begun_ = 0; begun_ < r_.in_place.size();) {
    tell("applying", begun_, total);
    const InPlace& in = r_.in_place[begun_++];
    if (std::string why = change(in, true); !why.empty()) return why;
  }
  const std::string why = direct_.apply(
      true, [&](uint64_t done) { tell("applying", r_.in_place.size() + done, total); });
  return why.empty() ? rename_from(0) : why;
}

std::string CommitRun::resume(size_t done) {
  // None of these was begun after the first rename; each can be done twice.
  const bool first = done == 0 && !direct_.begun();
  for (size_t i = 0; first && i < r_.in_place.size(); ++i) {
    if (std::string why = check(r_.in_place[i]); !why.empty()) return why;
  }
  for (size_t i = 0; first && i < r_.in_place.size(); ++i) {
    if (std::string why = change(r_.in_place[i], false); !why.empty()) return why;
  }
  const size_t total = r_.in_place.size() + r_.direct.size() + r_.renames.size();
  std::string why;
  if (done == 0) {
    why = direct_.apply(false,
                        [&](uint64_t made) { tell("applying", r_.in_place.size() + made, total); });
  }
  return why.empty() ? rename_from(done) : why;
}

std::string CommitRun::rename_from(size_t done) {
  const size_t before = r_.in_place.size() + r_.direct.size();
  const size_t total = before + r_.renames.size();
  for (done_ = done; done_ < r_.renames.size(); ++done_) {
    tell("applying", before + done_, total);
    if (std::string why = step(r_.renames[done_]); !why.empty()) return why;
  }
  tell("applying", total, total);
  return {};
}

Result<void> CommitRun::set_xattrs(const Dir& dir, const std::string& name,
                                   const InPlace::Xattrs& want) {
  // A mode that keeps its owner from reading and setting them is loosened; the one that stays is
  // set later.
  struct stat st {};
  TRY(from_libc(fstatat(dir->get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW)));
  constexpr mode_t kOpen = S_IRUSR | S_IWUSR;
  const bool closed = !S_ISLNK(st.st_mode) && (st.st_mode & kOpen) != kOpen;
  if (closed && st.st_uid == geteuid()) {
    TRY(from_libc(fchmodat(dir->get(), name.c_str(), (st.st_mode & 07777) | kOpen, 0)));
  }
  TRY_ASSIGN(const InPlace::Xattrs now, read_xattrs_at(dir->get(), name));
  if (now == want) return {};
  const LongPath path(dir->get(), name);
  for (const auto& [key, value] : now) {
    if (want.count(key) == 0) TRY(from_libc(lremovexattr(path.c_str(), key.c_str())));
  }
  for (const auto& [key, value] : want) {
    const auto had = now.find(key);
    if (had != now.end() && had->second == value) continue;
    TRY(from_libc(lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0)));
  }
  return {};
}

/// The inode gets the content of another file.
std::string CommitRun::rewrite(const InPlace& in, const Dir& from_dir, const std::string& name) {
  const auto dir = lower_.parent(in.path);
  if (!dir) return fail_shown(in.show, dir.error());
  const auto attr = lstat_in(from_dir, name);
  if (!attr) return fail_shown(in.show, attr.error());
  UniqueFd from = open_anyway(from_dir->get(), name, O_RDONLY);
  if (!from) return fail_shown(in.show, Errno::last());
  UniqueFd to = open_anyway((*dir)->get(), leaf_of(in.path), O_WRONLY);
  struct stat st {};
  if (!to || fstat(to.get(), &st) < 0) return fail_shown(in.show, Errno::last());
  if (st.st_ino != in.stamp.ino) return fail_shown(in.show, Errno(ESTALE));
  if (ftruncate(to.get(), 0) < 0) return fail_shown(in.show, Errno::last());
  auto done = copy_data(from.get(), to.get(), *attr);
  // On disk before a rename says that this is done, and before a backup goes.
  if (done) done = from_libc(fdatasync(to.get()));
  return done ? std::string() : fail_shown(in.show, done.error());
}

std::string CommitRun::change(const InPlace& in, bool first) {
  const auto dir = lower_.parent(in.path);
  if (!dir) return fail_shown(in.show, dir.error());
  const std::string name = leaf_of(in.path);
  const auto now = lstat_in(*dir, name);
  if (!now) return fail_shown(in.show, now.error());
  if (first && !is_still(in.stamp, *now)) {
    --begun_;  // somebody else's content stays
    return fail_shown(in.show, Errno(ESTALE));
  }
  if (now->stx_ino != in.stamp.ino) return fail_shown(in.show, Errno(ESTALE));
  if (!in.upper.empty()) {
    const auto from = upper_.parent(in.upper);
    if (!from) return fail_shown(in.show, from.error());
    const std::string why = rewrite(in, *from, leaf_of(in.upper));
    if (!why.empty()) return why;
  }
  Attributes want = in.after;
  // A directory stays writable until the end; its times are set then.
  if (S_ISDIR(now->stx_mode)) want.mode |= S_IRWXU;
  if (in.with_xattrs) {
    if (const auto set = set_xattrs(*dir, name, in.xattrs_after); !set) {
      return fail_shown(in.show, set.error());
    }
  }
  // Somebody else's file that the user may write to has the times of the writing.
  const bool foreign = now->stx_uid != geteuid() && geteuid() != 0;
  if (foreign && !in.upper.empty()) return {};
  const bool as_seen = in.upper.empty() && !in.with_xattrs;
  const auto set = as_seen ? set_attributes((*dir)->get(), name, want, *now)
                           : set_attributes((*dir)->get(), name, want);
  return set ? std::string() : fail_shown(in.show, set.error());
}

std::string CommitRun::content(const InPlace& in, Evidence::Content* is) {
  *is = Evidence::Content::kBefore;
  if (in.backup.empty()) return {};
  const auto seen = evidence_.content(in);
  if (!seen) return fail_shown(in.show, seen.error());
  *is = *seen;
  if (*is != Evidence::Content::kOthers) return {};
  return fail_kept(in.show, join(parent_of(in.path), in.backup),
                   "; copy that, or what the layer has, over it to go on");
}

/// Nothing of somebody else's is lost when the file is changed.
std::string CommitRun::check(const InPlace& in) {
  const auto now = lower_.lstat(in.path);
  if (!now) return fail_shown(in.show, now.error());
  Evidence::Content is{};
  if (std::string why = content(in, &is); !why.empty()) return why;
  const bool others = in.backup.empty() && evidence_.written_by_others(in, *now);
  return others ? fail_shown(in.show, Errno(ESTALE)) : std::string();
}

std::string CommitRun::restore(const InPlace& in) {
  const auto dir = lower_.parent(in.path);
  if (!dir) return fail_shown(in.show, dir.error());
  const std::string name = leaf_of(in.path);
  const auto now = lstat_in(*dir, name);
  if (!now) return fail_shown(in.show, now.error());
  if (now->stx_ino != in.stamp.ino) return fail_shown(in.show, Errno(ESTALE));
  Evidence::Content is{};
  std::string why = content(in, &is);
  if (why.empty() && is == Evidence::Content::kOurs) why = rewrite(in, *dir, in.backup);
  if (!why.empty()) return why;
  if (in.with_xattrs) {
    if (const auto set = set_xattrs(*dir, name, in.xattrs_before); !set) {
      return fail_shown(in.show, set.error());
    }
  }
  Attributes want = in.before;
  if (S_ISDIR(now->stx_mode)) want.mode |= S_IRWXU;
  if (in.backup.empty() && evidence_.written_by_others(in, *now)) {
    want.atime = file_time(now->stx_atime);
    want.mtime = file_time(now->stx_mtime);
  }
  const auto set = set_attributes((*dir)->get(), name, want);
  const bool foreign = now->stx_uid != geteuid() && geteuid() != 0;
  return set || foreign ? std::string() : fail_shown(in.show, set.error());
}

/// One rename that was made.
std::string CommitRun::undo_rename(const Rename& r) {
  using Kind = Rename::Kind;
  const auto from = lower_.dir(r.from_dir, r.from_ino);
  if (!from) return fail_shown(r.show, from.error());
  const auto to = lower_.dir(r.to_dir, r.to_ino);
  if (!to) return fail_shown(r.show, to.error());
  const auto there = lstat_in(*to, r.to_name);
  if (!there && there.error() != Errno(ENOENT)) return fail_shown(r.show, there.error());
  const auto back = lstat_in(*from, r.from_name);
  if (!back && back.error() != Errno(ENOENT)) return fail_shown(r.show, back.error());
  // An undo that stopped had come here before.
  const bool undone = r.kind == Kind::kExchange ? there && there->stx_ino == r.there.ino
                                                : back && back->stx_ino == r.what.ino &&
                                                      !(there && there->stx_ino == r.what.ino);
  if (undone) return {};
  const std::string had = join(r.from_dir, r.from_name);
  const bool brings = r.kind == Kind::kIn || r.kind == Kind::kExchange;
  const bool same = there && there->stx_ino == r.what.ino;
  if (brings && same) {
    const auto ours = evidence_.is_ours(r, *to, r.to_name, *there);
    if (!ours) return fail_shown(r.show, ours.error());
    if (!*ours && r.kind == Kind::kIn) return fail_shown(r.show, Errno(ESTALE)) + kMoveIt;
    if (!*ours) return fail_kept(r.show, had, kMoveIt);
  }
  // What the commit brought was replaced or removed since: that name isn't its any more.
  if (r.kind == Kind::kIn && !same) return {};
  if (r.kind == Kind::kExchange && there && !same) return fail_kept(r.show, had, kMoveIt);
  const auto rename = [&](const Dir& a, const std::string& x, const Dir& b, const std::string& y,
                          unsigned flags) {
    if (renameat2(a->get(), x.c_str(), b->get(), y.c_str(), flags) == 0) return std::string();
    if (errno == EEXIST) return fail_kept(r.show, join(r.to_dir, r.to_name), kMoveIt);
    return fail_shown(r.show, Errno::last());
  };
  if (r.kind == Kind::kExchange && !there) {
    return rename(*from, r.from_name, *to, r.to_name, RENAME_NOREPLACE);
  }
  if (!same) return fail_shown(r.show, Errno(ESTALE));
  return rename(*to, r.to_name, *from, r.from_name,
                r.kind == Kind::kExchange ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

std::string CommitRun::undo(size_t done) {
  for (size_t i = done; i-- > 0;) {
    tell("undoing", done - i, done);
    if (std::string why = undo_rename(r_.renames[i]); !why.empty()) return why;
  }
  lower_.forget();
  std::string why = direct_.undo([&](uint64_t back) { tell("undoing", back, r_.direct.size()); });
  if (!why.empty()) return why;
  for (size_t i = std::min(begun_, r_.in_place.size()); i-- > 0;) {
    if (why = restore(r_.in_place[i]); !why.empty()) return why;
  }
  return only_new();
}

/// When all is taken back, the temporary names have nothing but what was made for them.
std::string CommitRun::only_new() {
  for (const Rename& r : r_.renames) {
    if (r.kind != Rename::Kind::kIn && r.kind != Rename::Kind::kExchange) continue;
    const auto dir = lower_.dir(r.from_dir, r.from_ino);
    const auto temp = dir ? lstat_in(*dir, r.from_name) : Result<Attr>(dir.error());
    if (!temp && temp.error() == Errno(ENOENT)) continue;
    if (!temp) return fail_shown(r.show, temp.error());
    if (temp->stx_ino != r.what.ino) return fail_kept(r.show, join(r.from_dir, r.from_name), "");
  }
  return {};
}

std::string CommitRun::undo_preparation() {
  lower_.forget();
  std::string first = lock_upper();
  const auto note = [&](std::string why) {
    if (first.empty()) first = std::move(why);
  };
  note(direct_.undo_rest());
  uint64_t done = 0;
  for (const Temp& t : r_.temps) {
    tell("undoing", done++, r_.temps.size());
    const auto dir = lower_.dir(t.dir);
    if (!dir) {
      note(fail(t.dir, dir.error()));
    } else if (const auto gone = host_ops::remove_tree((*dir)->get(), t.name); !gone) {
      note(fail(join(t.dir, t.name), gone.error()));
    }
  }
  note(restore_directories());
  return first;
}

std::string CommitRun::restore_directories() {
  std::string first;
  const auto note = [&](std::string why) {
    if (first.empty()) first = std::move(why);
  };
  std::vector<TouchedDir> dirs = r_.dirs;
  for (const InPlace& in : r_.in_place) {
    if (S_ISDIR(in.before.mode)) dirs.push_back({in.path, in.stamp.ino, in.before, true});
  }
  std::stable_sort(dirs.begin(), dirs.end(), [](const TouchedDir& a, const TouchedDir& b) {
    return std::count(a.path.begin(), a.path.end(), '/') >
           std::count(b.path.begin(), b.path.end(), '/');
  });
  for (const TouchedDir& d : dirs) {
    const auto dir = lower_.parent(d.path);
    if (!dir) {
      note(fail(d.path, dir.error()));
      continue;
    }
    const auto now = lstat_in(*dir, leaf_of(d.path));
    if (!now && !says_gone(now.error())) note(fail(d.path, now.error()));
    if (!now || now->stx_ino != d.ino) continue;  // it isn't the one that was touched any more
    const auto set = set_attributes((*dir)->get(), leaf_of(d.path), d.before);
    // In a directory of somebody else's the user may change names, not its times.
    if (!set && (now->stx_uid == geteuid() || geteuid() == 0)) note(fail(d.path, set.error()));
  }
  return first;
}

/// Each is another object, so several threads remove them. Empty, or the first error.
std::string CommitRun::remove_trash() {
  // All of them together may have as many descriptors as one has else.
  std::vector<Tree> trees(kMaxWorkers, Tree(lower_.root(), Tree::kKept / kMaxWorkers));
  std::vector<std::pair<size_t, Errno>> kept[kMaxWorkers];
  std::atomic<uint64_t> done{0};
  spread(r_.trash.size(), Load::kDisk, [&](size_t worker, size_t i) {
    const uint64_t before = done.fetch_add(1);
    if (worker == 0) tell("removing", before, r_.trash.size());
    const Trash& t = r_.trash[i];
    const auto dir = trees[worker].dir(t.dir, t.dir_ino);
    const auto now = dir ? lstat_in(*dir, t.name) : Result<Attr>(dir.error());
    const bool other = now && now->stx_ino != t.ino;
    // Removed already, or gone or moved by somebody with the directory that it is in.
    if (other || (!now && says_gone(now.error()))) return true;
    const auto gone = now ? host_ops::remove_tree((*dir)->get(), t.name) : now.error();
    if (!gone) kept[worker].emplace_back(i, gone.error());
    return true;  // what else there is goes all the same
  });
  std::optional<std::pair<size_t, Errno>> first;
  for (const auto& some : kept) {
    if (!some.empty() && (!first || some[0].first < first->first)) first = some[0];
  }
  if (!first) return {};
  const Trash& t = r_.trash[first->first];
  return fail(join(t.dir, t.name), first->second) + " (what was replaced can't be removed)";
}

std::string CommitRun::finish() {
  lower_.forget();
  std::string first = lock_upper();
  const auto note = [&](std::string why) {
    if (first.empty()) first = std::move(why);
  };
  note(remove_trash());
  note(finish_directories());
  return first;
}

std::string CommitRun::finish_directories() {
  std::string first;
  std::vector<const Finish*> dirs;
  for (const Finish& f : r_.finish) dirs.push_back(&f);
  std::stable_sort(dirs.begin(), dirs.end(), [](const Finish* a, const Finish* b) {
    return std::count(a->path.begin(), a->path.end(), '/') >
           std::count(b->path.begin(), b->path.end(), '/');
  });
  for (const Finish* f : dirs) {
    const auto dir = lower_.parent(f->path);
    const auto now = dir ? lstat_in(*dir, leaf_of(f->path)) : Result<Attr>(dir.error());
    if (!now && !says_gone(now.error()) && first.empty()) first = fail(f->path, now.error());
    if (!now || now->stx_ino != f->ino) continue;  // as above
    const auto set = set_attributes((*dir)->get(), leaf_of(f->path), f->attributes, *now);
    // In a directory of somebody else's the user may change names, not its times.
    const bool mine = now->stx_uid == geteuid() || geteuid() == 0;
    if (!set && mine && first.empty()) first = fail(f->path, set.error());
  }
  return first;
}

}  // namespace viewsh::viewfs

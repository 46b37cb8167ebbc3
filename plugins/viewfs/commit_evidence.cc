#include "commit_evidence.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cow_host.h"
#include "cow_index.h"

namespace viewsh::viewfs {
namespace {

constexpr size_t kChunk = 1 << 16;

/// Reads all of `buffer` but at the end of the file.
Result<size_t> read_at(int fd, std::vector<char>* buffer, off_t at) {
  size_t have = 0;
  while (have < buffer->size()) {
    const ssize_t n =
        pread(fd, buffer->data() + have, buffer->size() - have, at + static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  return have;
}

/// Where there is data next at or behind `at`; `end`: none.
off_t next_data(int fd, off_t at, off_t end) {
  const off_t data = lseek(fd, at, SEEK_DATA);
  if (data >= 0) return std::min(data, end);
  return errno == ENXIO ? end : at;
}

/// All of `part` is what `whole` has there, or, with `zeros`, zero.
Result<bool> is_part(int part, int whole, off_t end, bool zeros) {
  std::vector<char> a(kChunk);
  std::vector<char> b(kChunk);
  for (off_t at = 0; at < end; at += static_cast<off_t>(kChunk)) {
    const off_t data = next_data(part, at, end);
    at = zeros ? data : std::min(data, next_data(whole, at, end));
    if (at >= end) break;
    TRY_ASSIGN(const size_t had, read_at(part, &a, at));
    TRY_ASSIGN(const size_t has, read_at(whole, &b, at));
    if (has < had) return false;
    for (size_t i = 0; i < had; ++i) {
      if (a[i] != b[i] && !(zeros && a[i] == 0)) return false;
    }
  }
  return true;
}

}  // namespace

Result<Evidence::Seen> Evidence::seen(const Rename& r) {
  const bool aside = r.kind == Rename::Kind::kAside;
  TRY_ASSIGN(const Dir dir,
             aside ? lower_.dir(r.to_dir, r.to_ino) : lower_.dir(r.from_dir, r.from_ino));
  const auto temp = lstat_in(dir, aside ? r.to_name : r.from_name);
  if (!temp && temp.error() != Errno(ENOENT)) return temp.error();
  if (temp && temp->stx_ino == r.what.ino) return aside ? Seen::kAfter : Seen::kBefore;
  if (aside) return Seen::kAway;
  const bool exchange = r.kind == Rename::Kind::kExchange;
  const bool brings = exchange || r.kind == Rename::Kind::kIn;
  if (brings && temp && !(exchange && temp->stx_ino == r.there.ino)) return Errno(ESTALE);
  if (brings && temp) return Seen::kAfter;
  // That the temporary name is gone says little: anybody may have removed it. What has the name
  // that it was for does.
  const auto to = lower_.dir(r.to_dir, r.to_ino);
  const auto there = to ? lstat_in(*to, r.to_name) : Result<Attr>(to.error());
  if (there && there->stx_ino == r.what.ino) return Seen::kAfter;
  if (!brings || !there) return Seen::kAway;
  // What it had there may have gone on to its place; or somebody saved something else.
  return exchange && there->stx_ino == r.there.ino ? Seen::kAway : Seen::kAfter;
}

const Rename* Evidence::taken_back(size_t done) {
  for (size_t i = 0; i < done; ++i) {
    const Rename& r = r_.renames[i];
    const bool brings = r.kind == Rename::Kind::kIn || r.kind == Rename::Kind::kExchange;
    const auto is = brings ? seen(r) : Result<Seen>(Seen::kAfter);
    if (is && *is == Seen::kBefore) return &r;
  }
  return nullptr;
}

bool Evidence::was_made(const Rename& r) {
  const auto is = seen(r);
  return is && *is == Seen::kAfter;
}

Result<size_t> Evidence::renamed(const Rename** unknown) {
  // Paths are those of the moment of a rename, so of those that aren't next they may mean nothing.
  size_t done = r_.renames.size();
  for (; done > 0; --done) {
    if (was_made(r_.renames[done - 1])) break;
  }
  for (; done < r_.renames.size(); ++done) {
    const Rename& next = r_.renames[done];
    const auto is = seen(next);
    if (!is) {
      *unknown = &next;
      return is.error();
    }
    // All that leave their names come before; what isn't under its temporary one got its place,
    // whatever became of it there.
    if (next.kind != Rename::Kind::kPlace || *is != Seen::kAway) break;
  }
  return done;
}

Result<Evidence::Content> Evidence::content(const InPlace& in) {
  TRY_ASSIGN(const Dir dir, lower_.parent(in.path));
  TRY_ASSIGN(const Dir from, upper_.parent(in.upper));
  const UniqueFd now = open_anyway(dir->get(), leaf_of(in.path), O_RDONLY);
  if (!now) return Errno::last();
  const UniqueFd had = open_anyway(dir->get(), in.backup, O_RDONLY);
  if (!had) return Errno::last();
  const UniqueFd gets = open_anyway(from->get(), leaf_of(in.upper), O_RDONLY);
  if (!gets) return Errno::last();
  struct stat is {};
  struct stat was {};
  struct stat to_be {};
  for (const auto& [fd, st] : {std::pair(&now, &is), {&had, &was}, {&gets, &to_be}}) {
    TRY(from_libc(fstat(fd->get(), st)));
  }
  if (is.st_size == was.st_size) {
    TRY_ASSIGN(const bool same, is_part(now.get(), had.get(), is.st_size, false));
    if (same) return Content::kBefore;
  }
  if (is.st_size > to_be.st_size) return Content::kOthers;
  TRY_ASSIGN(const bool part, is_part(now.get(), gets.get(), is.st_size, true));
  return part ? Content::kOurs : Content::kOthers;
}

bool Evidence::written_by_others(const InPlace& in, const Attr& now) const {
  if (is_still(in.stamp, now)) return false;
  if (now.stx_size == in.stamp.size && file_time(now.stx_mtime) == in.after.mtime) return false;
  // What is another name of a file whose content the commit changes has the times of that.
  return std::none_of(r_.in_place.begin(), r_.in_place.end(), [&](const InPlace& other) {
    return &other != &in && other.stamp.ino == in.stamp.ino;
  });
}

bool Evidence::is_linked(uint64_t ino) const {
  return std::find(r_.linked.begin(), r_.linked.end(), ino) != r_.linked.end();
}

/// What is in upper/ at `path`, or a copy of it; or another name of what the lower had.
Result<bool> Evidence::same_node(const Attr& now, const std::string& path) {
  if (is_linked(now.stx_ino)) return true;
  const auto own = upper_.lstat(path);
  if (!own && own.error() == Errno(ENOENT)) return false;
  if (!own) return own.error();
  if ((own->stx_mode & S_IFMT) != (now.stx_mode & S_IFMT)) return false;
  if (own->stx_ino == now.stx_ino && dev_of(*own) == dev_of(now)) return true;
  if (S_ISDIR(now.stx_mode)) return true;
  if (own->stx_size != now.stx_size) return false;
  // A file system may keep times less exactly; what was written later is never older.
  constexpr int64_t kCoarsest = 2;  // seconds
  FileTime kept = file_time(now.stx_mtime);
  const FileTime own_time = file_time(own->stx_mtime);
  if (own_time < kept) return false;
  kept.sec += kCoarsest;
  return own_time < kept;
}

Result<bool> Evidence::same_tree(const Dir& top, const std::string& name, const std::string& path) {
  struct Step {
    Dir dir;
    std::string name, path;
  };
  std::vector<Step> todo{{top, name, path}};
  while (!todo.empty()) {
    const Step step = std::move(todo.back());
    todo.pop_back();
    auto dir = std::make_shared<OpenDir>();
    dir->fd.reset(
        openat(step.dir->get(), step.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!dir->fd) return Errno::last();
    TRY_ASSIGN(const auto names, names_in(step.dir->get(), step.name));
    for (const std::string& child : names) {
      const std::string below = join(step.path, child);
      TRY_ASSIGN(const Attr now, lstat_in(dir, child));
      TRY_ASSIGN(const bool same, same_node(now, below));
      if (!same) return false;
      if (S_ISDIR(now.stx_mode)) todo.push_back({dir, child, below});
    }
  }
  return true;
}

Result<bool> Evidence::is_ours(const Rename& r, const Dir& dir, const std::string& name,
                               const Attr& now) {
  if (r.show.size() <= at_.size()) return true;  // the journal of another version
  const std::string path = r.show.substr(at_ == "/" ? 1 : at_.size() + 1);
  if (S_ISDIR(now.stx_mode)) return same_tree(dir, name, path);
  if (is_linked(now.stx_ino)) return true;
  const auto own = upper_.lstat(path);
  if (own && own->stx_ino == now.stx_ino && dev_of(*own) == dev_of(now)) return true;
  return now.stx_size == r.what.size && file_time(now.stx_mtime) == r.what.mtime;
}

}  // namespace viewsh::viewfs

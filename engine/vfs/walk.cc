#include "vfs/walk.h"

#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>

#include "base/path.h"

namespace viewsh {

namespace {

constexpr int kMaxLinks = 40;

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool ends_in_one_dot(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  return text == "." || text.ends_with("/.");
}

/// The state of one walk. Position: a directory of the view, as a canonical path.
class Walker {
 public:
  Walker(const View& view, WalkFlags flags, const Caller& caller, const ProcView* proc)
      : view_(view), flags_(flags), caller_(caller), proc_(proc) {}

  Result<Walked> run(const WalkStart& start, std::string_view path);

 private:
  struct Run {
    std::string_view text;  ///< clean components
    bool dotdot = false;    ///< ".." comes next
    bool last = false;      ///< nothing but slashes and dots follows
  };
  Run next_run();
  Result<void> enter(std::string_view run, bool last);
  Result<void> step_into(const Location& base, std::string_view run, bool last, bool to_mount);
  Result<bool> step_proc(std::string_view run, bool last);
  Result<void> follow(std::string target, size_t unread);
  Result<void> jump(const std::string& target, size_t unread);
  Result<void> arrive(Found found, const Location& base, std::string_view run);
  Result<void> may_leave();
  Result<void> up();
  Result<void> arrive_at_position();
  void kernel_append(std::string_view run);

  const View& view_;
  WalkFlags flags_;
  const Caller& caller_;
  const ProcView* proc_;
  std::string floor_ = "/";  ///< RESOLVE_BENEATH and IN_ROOT: never above
  std::string root_ = "/";   ///< the process's own root
  std::string position_;
  std::string kernel_;  ///< where the kernel would be by the same text
  bool identity_ = true;
  std::string pending_;
  size_t at_ = 0;
  int links_ = 0;
  Walked result_;
  bool arrived_ = false;  ///< result_ describes position_
};

Walker::Run Walker::next_run() {
  const char* text = pending_.data();
  size_t size = pending_.size();
  auto is_dotdot = [&](size_t from, size_t end) {
    return end - from == 2 && text[from] == '.' && text[from + 1] == '.';
  };
  auto skip = [&](size_t from) {
    while (from < size) {
      if (text[from] == '/') {
        ++from;
      } else if (text[from] == '.' && (from + 1 == size || text[from + 1] == '/')) {
        ++from;
      } else {
        break;
      }
    }
    return from;
  };
  at_ = skip(at_);
  size_t begin = at_;
  size_t end = at_;
  while (at_ < size) {
    size_t stop = at_;
    while (stop < size && text[stop] != '/') ++stop;
    if (is_dotdot(at_, stop)) {
      Run run{std::string_view(pending_).substr(begin, end - begin), true, false};
      if (begin == end) {
        at_ = stop;
        run.last = skip(at_) == size;
      }
      return run;
    }
    end = stop;
    size_t after = skip(stop);
    at_ = after;
    // "a//b" and "a/./b" would leave an unclean run: end it there.
    if (after > stop + 1 && after < size) break;
  }
  bool last = at_ >= size;
  if (last) {
    std::string_view tail = std::string_view(pending_).substr(end);
    if (!tail.empty()) {
      result_.must_be_dir = true;
      result_.ends_in_dot = tail.find('.') != std::string_view::npos;
    }
  }
  return {std::string_view(pending_).substr(begin, end - begin), false, last};
}

void Walker::kernel_append(std::string_view run) {
  if (!identity_ || run.empty()) return;
  if (kernel_.empty() || kernel_.back() != '/') kernel_.push_back('/');
  kernel_.append(run);
}

/// "." and ".." are names too: the directory must be one that may be searched. link_path_walk() of
/// fs/namei.c
Result<void> Walker::may_leave() {
  Location here = view_.locate(position_);
  ResolveFlags how;
  how.follow_last = false;
  how.want_exists = true;
  // Whatever the name, a search for it asks for the right to search.
  Result<Found> found = here.mount->fs->resolve(here.path, "x", how, caller_);
  if (!found.ok() && found.error() == EACCES) return Errno(EACCES);
  return {};
}

Result<void> Walker::up() {
  if ((flags_.resolve & RESOLVE_BENEATH) != 0 && position_ == floor_) return Errno(EXDEV);
  if (position_ == floor_ && (flags_.resolve & RESOLVE_IN_ROOT) != 0) return {};
  if (position_ == root_ && root_ != "/") {
    identity_ = false;
    return {};
  }
  // At the view's root the position stays, but the kernel goes up where its own root is another.
  if (position_ != "/" && (flags_.resolve & RESOLVE_NO_XDEV) != 0 &&
      view_.is_mount_point(position_)) {
    return Errno(EXDEV);
  }
  position_ = parent_path(position_);
  if (identity_) kernel_ = parent_path(kernel_);
  return {};
}

/// A link's text takes the place of the component; `unread` is where the rest of the text begins.
Result<void> Walker::follow(std::string target, size_t unread) {
  if ((flags_.resolve & RESOLVE_NO_SYMLINKS) != 0) return Errno(ELOOP);
  if (++links_ > kMaxLinks) return Errno(ELOOP);
  if (target.empty()) return Errno(ENOENT);
  bool absolute = target[0] == '/';
  if (absolute) {
    if ((flags_.resolve & RESOLVE_BENEATH) != 0) return Errno(EXDEV);
    if ((flags_.resolve & RESOLVE_NO_XDEV) != 0 &&
        view_.locate(position_).mount != view_.root()->mount) {
      return Errno(EXDEV);
    }
    position_ = (flags_.resolve & RESOLVE_IN_ROOT) != 0 ? floor_ : root_;
    if (identity_) kernel_ = "/";
    if (root_ != "/") identity_ = false;
    if (flags_.resolve != 0) identity_ = false;
  }
  target.append(pending_, unread, std::string::npos);
  if (target.size() > 2 * PATH_MAX) return Errno(ENAMETOOLONG);
  pending_ = std::move(target);
  at_ = 0;
  arrived_ = false;
  result_.must_be_dir = false;
  result_.ends_in_dot = false;
  return {};
}

/// A magic link leads to its object at once: whatever the root of the process is, and whether or
/// not the way there may be searched. nd_jump_link() of fs/namei.c
Result<void> Walker::jump(const std::string& target, size_t unread) {
  if ((flags_.resolve & RESOLVE_NO_XDEV) != 0 && !is_at_or_below(target, "/proc"))
    return Errno(EXDEV);
  if (++links_ > kMaxLinks) return Errno(ELOOP);
  Location here = view_.locate(target);
  const Caller self = caller_.as_root();
  ResolveFlags how;
  how.follow_last = false;
  how.want_exists = true;
  TRY_ASSIGN(Found found, here.mount->fs->resolve("", here.path, how, self));
  // A link took a place on the way, or it went.
  if (found.kind != Found::Kind::kNode) return Errno(ENOENT);
  pending_.erase(0, unread);
  at_ = 0;
  // The kernel, following its own link, may arrive at an object that only stands in for this one.
  identity_ = false;
  position_ = target;
  bool more = pending_.find_first_not_of("/.") != std::string::npos ||
              pending_.find("..") != std::string::npos;
  result_.must_be_dir = !pending_.empty();
  result_.ends_in_dot = pending_.find('.') != std::string::npos;
  bool file = found.type != NodeType::kUnknown && found.type != NodeType::kDirectory;
  if (result_.must_be_dir && file) return Errno(ENOTDIR);
  if (more) {
    arrived_ = result_.must_be_dir = result_.ends_in_dot = false;
    return {};
  }
  result_.mount = std::move(here.mount);
  result_.path = std::move(here.path);
  result_.found = std::move(found);
  arrived_ = true;
  return {};
}

/// The whole run led to a node (or to an absent last name).
Result<void> Walker::arrive(Found found, const Location& base, std::string_view run) {
  kernel_append(run);
  if (identity_ && found.host != kernel_) identity_ = false;
  if (found.kind == Found::Kind::kMissing && (at_ < pending_.size() || result_.ends_in_dot)) {
    return Errno(ENOENT);
  }
  if (at_ < pending_.size() || (result_.must_be_dir && !result_.proc_magic)) {
    if (found.type != NodeType::kUnknown && found.type != NodeType::kDirectory) {
      return Errno(ENOTDIR);
    }
  }
  position_ = join_path(position_, run);
  result_.mount = base.mount;
  result_.path = join_path(base.path, run);
  result_.found = std::move(found);
  arrived_ = true;
  return {};
}

Result<void> Walker::step_into(const Location& base, std::string_view run, bool last,
                               bool to_mount) {
  ResolveFlags how;
  how.follow_last = !result_.proc_magic && (!last || flags_.follow || result_.must_be_dir);
  // Before ".." the run has to be an existing directory.
  how.want_exists = last ? flags_.want_exists || result_.must_be_dir : !to_mount;
  Result<Found> found = base.mount->fs->resolve(base.path, run, how, caller_);
  if (!found.ok()) return found.error();
  if (found->kind != Found::Kind::kLink) return arrive(std::move(*found), base, run);
  std::string_view way = run.substr(0, found->consumed);
  if (flags_.followed != nullptr)
    flags_.followed->push_back({join_path(position_, way), found->target});
  size_t cut = way.rfind('/');
  std::string_view dir = cut == std::string_view::npos ? std::string_view() : way.substr(0, cut);
  size_t unread = static_cast<size_t>(run.data() - pending_.data()) + found->consumed;
  std::string before = kernel_;
  kernel_append(way);
  if (identity_ && found->host != kernel_) identity_ = false;
  kernel_ = std::move(before);
  kernel_append(dir);
  position_ = join_path(position_, dir);
  return follow(std::move(found->target), unread);
}

bool is_pid_dir(std::string_view text) { return is_number(text); }

}  // namespace

bool is_magic_name(std::string_view inside) {
  std::vector<std::string_view> parts = components(inside);
  if (parts.empty() || !is_pid_dir(parts[0])) return false;
  size_t i = 1;
  if (parts.size() > 3 && parts[1] == "task" && is_number(parts[2])) i = 3;
  if (parts.size() == i + 1) {
    return parts[i] == "cwd" || parts[i] == "root" || parts[i] == "exe";
  }
  if (parts.size() != i + 2) return false;
  return (parts[i] == "fd" && is_number(parts[i + 1])) || parts[i] == "ns" ||
         parts[i] == "map_files";
}

namespace {

/// A run that crosses /proc: self, the engine's own entry and magic links. True: the run was used.
Result<bool> Walker::step_proc(std::string_view run, bool last) {
  std::string full = join_path(position_, run);
  if (!is_at_or_below(full, "/proc") || full.size() <= 6) return false;
  std::string inside;
  std::vector<std::string_view> parts = components(std::string_view(full).substr(6));
  size_t consumed_end = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    inside = join_path(inside, parts[i]);
    consumed_end = static_cast<size_t>(parts[i].data() + parts[i].size() - full.data());
    bool final = last && i + 1 == parts.size() && !flags_.follow && !result_.must_be_dir;
    size_t run_begin = full.size() - run.size();
    if (consumed_end <= run_begin) continue;
    size_t run_used = consumed_end - run_begin;
    if (i == 0 && proc_->hidden(parts[0])) return Errno(ENOENT);
    std::string target;
    if (inside == "self" || inside == "thread-self") {
      if (final) return false;
      size_t before = run_used - parts[i].size();
      kernel_append(run.substr(0, before == 0 ? 0 : before - 1));
      if (kernel_ != "/proc") identity_ = false;
      position_ = "/proc";
      target = inside == "self" ? proc_->self() : proc_->thread_self();
    } else if (is_magic_name(inside) && !final) {
      if ((flags_.resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)) != 0)
        return Errno(ELOOP);
      // fs/namei.c, nd_jump_link: not safe for scoped look-ups.
      if ((flags_.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0) return Errno(EXDEV);
      std::optional<std::string> seen = proc_->magic_target(inside);
      if (!seen) {
        // A directory that the view doesn't show (any more) has no names in it.
        bool directory = proc_->leads_to_directory(inside);
        if (!(last && i + 1 == parts.size())) return Errno(directory ? ENOENT : ENOTDIR);
        if (result_.must_be_dir && !directory) return Errno(ENOTDIR);
        result_.proc_magic = true;
        return false;
      }
      TRY(jump(*seen, static_cast<size_t>(run.data() - pending_.data()) + run_used));
      return true;
    } else {
      continue;
    }
    size_t unread = static_cast<size_t>(run.data() - pending_.data()) + run_used;
    TRY(follow(target, unread));
    return true;
  }
  return false;
}

Result<void> Walker::enter(std::string_view run, bool last) {
  if (proc_ != nullptr && (position_ == "/" || position_.starts_with("/proc"))) {
    Result<bool> used = step_proc(run, last);
    if (!used.ok()) return used.error();
    if (*used) return {};
  }
  if (result_.proc_magic) flags_.follow = false;
  Location base = view_.locate(position_);
  const View::Node* node = view_.node_at(position_);
  if (node != nullptr && !node->children.empty()) {
    size_t i = 0;
    size_t cut = 0;
    const View::Node* hit = nullptr;
    while (i < run.size()) {
      size_t end = std::min(run.find('/', i), run.size());
      auto it = node->children.find(run.substr(i, end - i));
      if (it == node->children.end()) break;
      node = it->second.get();
      if (node->mount) {
        hit = node;
        cut = end;
        if (flags_.resolve & RESOLVE_NO_XDEV) return Errno(EXDEV);
      }
      i = end + 1;
    }
    if (hit != nullptr) {
      // Mount points are canonical and their ancestors can't be moved: no need to look at them.
      kernel_append(run.substr(0, cut));
      position_ = join_path(position_, run.substr(0, cut));
      std::string_view rest = cut < run.size() ? run.substr(cut + 1) : std::string_view();
      return step_into({hit->mount, ""}, rest, last, false);
    }
  }
  return step_into(base, run, last, false);
}

/// The path ends at a directory that was reached by "..", "." or "/".
Result<void> Walker::arrive_at_position() {
  Location here = view_.locate(position_);
  ResolveFlags how;
  how.follow_last = false;
  how.want_exists = flags_.want_exists;
  TRY_ASSIGN(Found found, here.mount->fs->resolve(here.path, "", how, caller_));
  if (identity_ && found.host != kernel_) identity_ = false;
  result_.must_be_dir = true;
  result_.found = std::move(found);
  result_.mount = here.mount;
  result_.path = here.path;
  return {};
}

Result<Walked> Walker::run(const WalkStart& start, std::string_view path) {
  if (path.empty()) return Errno(ENOENT);
  if (path.size() >= PATH_MAX) return Errno(ENAMETOOLONG);
  bool in_root = (flags_.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) != 0;
  bool absolute = path[0] == '/';
  if (absolute && (flags_.resolve & RESOLVE_BENEATH) != 0) return Errno(EXDEV);
  if (in_root) floor_ = start.view_dir;
  root_ = start.root;
  if (absolute && !in_root) {
    position_ = root_;
    kernel_ = "/";
    identity_ = root_ == "/";
  } else {
    position_ = start.view_dir;
    kernel_ = start.kernel_dir;
    identity_ = !kernel_.empty();
  }
  pending_ = std::string(path);
  while (at_ < pending_.size()) {
    Run part = next_run();
    if (!part.text.empty()) {
      TRY(enter(part.text, part.last));
    } else if (part.dotdot) {
      arrived_ = false;
      TRY(may_leave());
      TRY(up());
      if (part.last) result_.ends_in_dot = result_.must_be_dir = true;
    } else if (pending_.find('.') != std::string::npos) {
      result_.ends_in_dot = true;  // nothing but dots and slashes
    }
  }
  if (!arrived_) TRY(arrive_at_position());
  if (ends_in_one_dot(pending_)) TRY(may_leave());
  result_.view_path = position_;
  result_.identity = identity_;
  return std::move(result_);
}

}  // namespace

Result<Walked> walk(const View& view, const WalkStart& start, std::string_view path,
                    WalkFlags flags, const Caller& caller, const ProcView* proc) {
  return Walker(view, flags, caller, proc).run(start, path);
}

}  // namespace viewsh

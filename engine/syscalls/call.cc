#include "syscalls/call.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <memory>

#include "base/deep_path.h"
#include "base/path.h"
#include "syscalls/attr.h"
#include "syscalls/proc_view.h"
#include "viewsh/long_path.h"

namespace viewsh {

uint64_t Call::argument(unsigned index) const {
  switch (index) {
    case 0:
      return regs_.rdi;
    case 1:
      return regs_.rsi;
    case 2:
      return regs_.rdx;
    case 3:
      return regs_.r10;
    case 4:
      return regs_.r8;
    default:
      return regs_.r9;
  }
}

std::string Call::fd_path(int fd) const {
  return "/proc/" + std::to_string(task_.tid) + "/fd/" + std::to_string(fd);
}

Result<OpenObject> Call::object(int fd) const {
  Result<std::string> host = path_of_directory(fd_path(fd));
  if (!host.ok()) return Errno(host.error() == ENOENT ? EBADF : host.error().value());
  OpenObject out;
  out.host = std::move(*host);
  if (out.host[0] == '/') out.view_path = session_.view_path_of(out.host);
  return out;
}

Result<WalkStart> Call::start_of(DirFd dir) {
  if (dir.value == AT_FDCWD) {
    if (task_.fs->cwd_gone) return Errno(ENOENT);
    return WalkStart{task_.fs->cwd, task_.fs->kernel_cwd, "/", task_.fs->cwd_view};
  }
  TRY_ASSIGN(OpenObject object, this->object(dir.value));
  if (object.host[0] != '/') return Errno(ENOTDIR);
  if (!object.view_path) {
    Session::Covered covered = session_.covered_place(object.host);
    if (covered.view) return WalkStart{covered.path, object.host, "/", std::move(covered.view)};
  }
  struct stat st {};
  bool nameless = !object.view_path || object.host.ends_with(" (deleted)");
  if (nameless && stat(fd_path(dir.value).c_str(), &st) == 0) {
    if (!S_ISDIR(st.st_mode)) return Errno(ENOTDIR);
    const Errno nothing = nothing_in(fd_path(dir.value));
    if (!object.view_path || (st.st_nlink == 0 && nothing == EACCES)) return nothing;
  }
  if (!object.view_path) return Errno(ENOENT);
  return WalkStart{*object.view_path, object.host, "/"};
}

/// A directory that was removed, or that the view doesn't show, has no names; that it may not be
/// searched comes first. may_lookup() of fs/namei.c
Errno Call::nothing_in(const std::string& link) const {
  Attr attr{};
  if (statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr) < 0)
    return Errno(ENOENT);
  (void)view().fix_attr(&attr);
  return check_access(attr, X_OK, caller_).ok() ? Errno(ENOENT) : Errno(EACCES);
}

const Result<Walked>& Call::note(const Result<Walked>& walked) {
  constant_.reset();
  if (walked.ok() && walked->mount->is_constant()) constant_ = *walked;
  return walked;
}

Result<Walked> Call::walk(DirFd dir, const UserPath& path, WalkFlags flags) {
  if (!keep_visits_) return note(find(dir, path, flags));
  Visit visit;
  flags.followed = &visit.followed;
  visit.walked = find(dir, path, flags);
  if (dir.value == AT_FDCWD || path.text.starts_with('/')) visit.text = path.text;
  visits_.push_back(std::move(visit));
  return visits_.back().walked;
}

Result<Walked> Call::find(DirFd dir, const UserPath& path, WalkFlags flags) {
  if (path.text.empty()) return Errno(ENOENT);
  WalkStart start;
  if (dir.value == AT_FDCWD && task_.fs->cwd_gone && path.text[0] != '/') {
    return walk_from_removed(path, flags);
  }
  bool confined = (flags.resolve & (uint64_t{0x08} | uint64_t{0x10})) != 0;
  if (path.text[0] != '/' || confined) {
    TRY_ASSIGN(start, start_of(dir));
  }
  start.root = task_.fs->root;
  TaskProcView proc(session_, task_);
  const View& view = start.view ? *start.view : *session_.view;
  Result<Walked> walked =
      viewsh::walk(view, start, path.text, flags, caller_, session_.host_proc ? &proc : nullptr);
  bool absent =
      walked.ok() ? walked->found.kind == Found::Kind::kMissing : walked.error() == ENOENT;
  struct stat st {};
  if (absent && dir.value != AT_FDCWD && path.text[0] != '/' &&
      stat(fd_path(dir.value).c_str(), &st) == 0 && !S_ISDIR(st.st_mode)) {
    return Errno(ENOTDIR);
  }
  return walked;
}

/// From a removed working directory a path leads upwards, or to the directory itself, and nowhere
/// else: it is empty.
Result<Walked> Call::walk_from_removed(const UserPath& path, WalkFlags flags) {
  std::string_view rest = path.text;
  while (rest == "." || rest.starts_with("./")) {
    rest.remove_prefix(std::min<size_t>(2, rest.size()));
    while (rest.starts_with("/")) rest.remove_prefix(1);
  }
  if (rest.empty()) {
    // The task's own call says what the kernel knows of a directory without a name.
    Walked walked;
    walked.mount = session_.view->locate(task_.fs->cwd).mount;
    walked.view_path = task_.fs->cwd;
    walked.found.exists = true;
    walked.found.type = NodeType::kDirectory;
    walked.found.host = task_.fs->kernel_cwd;
    walked.identity = true;
    walked.must_be_dir = walked.ends_in_dot = true;
    return walked;
  }
  const Errno nothing = nothing_in("/proc/" + std::to_string(task_.tid) + "/cwd");
  if (nothing == EACCES || (rest != ".." && !rest.starts_with("../"))) return nothing;
  rest.remove_prefix(2);
  std::string text = parent_path(task_.fs->cwd) + "/" + std::string(rest);
  TaskProcView proc(session_, task_);
  return viewsh::walk(*session_.view, {}, text, flags, caller_,
                      session_.host_proc ? &proc : nullptr);
}

bool Call::changeable(const std::string& link) const {
  struct stat how {};
  struct stat object {};
  if (lstat(link.c_str(), &how) < 0 || stat(link.c_str(), &object) < 0) return true;
  // A FIFO has a path too, where a pipe has none, and a socket of a file system; what is written to
  // either isn't the node's content. Links and sockets are open by O_PATH.
  char text[2] = {};
  bool special = S_ISFIFO(object.st_mode) || S_ISLNK(object.st_mode) || S_ISSOCK(object.st_mode);
  bool by_path = special && readlink(link.c_str(), text, 1) == 1 && text[0] == '/';
  if (by_path && object.st_nlink > 0) return session_.owns(link, object);
  bool named = object.st_nlink > 0 && (S_ISREG(object.st_mode) || S_ISDIR(object.st_mode));
  return !named || (how.st_mode & S_IWUSR) != 0 || session_.owns(link, object);
}

Outcome Call::unshown(int fd) const {
  return changeable(fd_path(fd)) ? Outcome::as_is() : Outcome::error(EROFS);
}

bool Call::is_open_on(int fd, const Walked& walked) const {
  return same_file(fd_path(fd), walked.found.host);
}

bool Call::is_path_only(int fd) const {
  struct stat how {};
  // The link's mode is how the descriptor was opened: neither for reading nor for writing.
  return lstat(fd_path(fd).c_str(), &how) == 0 && (how.st_mode & S_IRWXU) == 0;
}

Result<Walked> Call::walk_fd(int fd, bool look) {
  Result<Walked> walked = note(find_fd(fd, look));
  if (keep_visits_) visits_.push_back({"", walked, {}});
  return walked;
}

Result<Walked> Call::find_fd(int fd, bool look) {
  Result<Walked> walked = find_fd_by_path(fd, look);
  if (shown(walked)) return walked;
  std::optional<std::string> name = session_.name_of_open(fd_path(fd));
  return name ? look_at(view(), *name, look) : walked;
}

Result<Walked> Call::find_fd_by_path(int fd, bool look) {
  TRY_ASSIGN(OpenObject object, this->object(fd));
  Session::Covered covered;
  if (!object.view_path) covered = session_.covered_place(object.host);
  if (!object.view_path && !covered.view) return Errno(ENOENT);
  // Without its name it isn't what has that now, nor a file that is called "NAME (deleted)".
  if (object.host.ends_with(" (deleted)") && !same_file(fd_path(fd), object.host))
    return Errno(ENOENT);
  return covered.view ? look_at(*covered.view, covered.path, look)
                      : look_at(view(), *object.view_path, look);
}

/// The path is the view's own, without links and of any length, and what is open needs no right to
/// search the way to it.
Result<Walked> Call::look_at(const View& view, const std::string& view_path, bool look) {
  const Caller self = caller_.as_root();
  Location here = view.locate(view_path);
  ResolveFlags flags;
  flags.follow_last = false;
  flags.want_exists = look;
  Walked walked;
  TRY_ASSIGN(walked.found, here.mount->fs->resolve("", here.path, flags, self));
  if (walked.found.kind == Found::Kind::kLink)
    return Errno(ENOENT);  // a link took a place on the way
  walked.mount = std::move(here.mount);
  walked.path = std::move(here.path);
  walked.view_path = view_path;
  return walked;
}

std::string host_text(const Walked& walked) {
  std::string text = walked.found.host;
  if (walked.must_be_dir && text != "/") text.push_back('/');
  return text;
}

Result<void> Call::may_search(const Walked& walked) {
  if (!walked.found.attr_virtual) return {};
  TRY_ASSIGN(Attr attr, walked.fs_mutable().getattr(walked.path));
  if (!S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
  // The search for a name asks for the right to search: what name it is doesn't matter.
  ResolveFlags flags;
  flags.follow_last = false;
  Result<Found> found = walked.fs_mutable().resolve(walked.path, "x", flags, caller_);
  if (!found.ok() && found.error() == EACCES) return Errno(EACCES);
  return {};
}

Result<void> Call::have_content(Walked* walked, int flags, const Caller& caller) {
  if (!walked->found.deferred) return {};
  const OpenHow how{flags, 0, NodeType::kRegular};
  TRY_ASSIGN(OpenPlan plan, walked->fs_mutable().plan_open(walked->path, how, caller));
  // Who takes it from there isn't known by an open of its own.
  if (plan.notify) walked->fs_mutable().opened(walked->path, plan, true);
  walked->found.host = std::move(plan.host);
  walked->found.deferred = false;
  return {};
}

Outcome Call::run_on(const Walked& walked, const UserPath& path) {
  if (walked.identity) return Outcome::as_is();
  return Outcome::rewritten().path(path.argument, host_text(walked));
}

Outcome Call::change_on(const Walked& walked, const UserPath& path) {
  Outcome out = run_on(walked, path);
  out.changes_host = true;
  return out;
}

Outcome&& Outcome::path(unsigned argument, const std::string& text) && {
  if (text.size() < PATH_MAX) {
    texts.push_back({argument, std::string(text.c_str(), text.size() + 1)});
    return std::move(*this);
  }
  auto held = std::make_shared<LongPath>(text);
  texts.push_back({argument, std::string(held->c_str(), held->text().size() + 1)});
  // The descriptor that the text begins with is needed until the call is over.
  then([held](long call_result) { return call_result; });
  return std::move(*this);
}

namespace decode {

Result<UserPath> Decode<UserPath>::get(Call& call, unsigned index) {
  TRY_ASSIGN(std::string text, call.memory().read_string(call.argument(index), PATH_MAX));
  UserPath path{std::move(text), index};
  call.note_path(path);
  return path;
}

Result<OptionalPath> Decode<OptionalPath>::get(Call& call, unsigned index) {
  if (call.argument(index) == 0) return OptionalPath{true, {"", index}};
  TRY_ASSIGN(UserPath path, Decode<UserPath>::get(call, index));
  return OptionalPath{false, std::move(path)};
}

}  // namespace decode

}  // namespace viewsh

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <cstdio>

#include "base/path.h"
#include "syscalls/handlers.h"
#include "syscalls/proc_view.h"

namespace viewsh {

namespace {

/// Walks to a name that is to be made or removed: a link in the last place is the name itself.
Result<Walked> walk_name(Call& call, DirFd dir, const UserPath& path) {
  WalkFlags flags;
  flags.follow = false;
  return call.walk(dir, path, flags);
}

bool is_there(const Walked& walked) {
  return walked.found.exists || walked.ends_in_dot || walked.fs_mutable().getattr(walked.path).ok();
}

/// What is said of an absent name with a slash behind it: that it is too long comes first.
Errno absence(const Walked& walked) {
  Result<Attr> attr = walked.fs_mutable().getattr(walked.path);
  return attr.ok() || attr.error() != ENAMETOOLONG ? Errno(ENOENT) : attr.error();
}

bool is_directory(const Walked& walked) {
  Result<Attr> attr = walked.fs_mutable().getattr(walked.path);
  return attr.ok() && S_ISDIR(attr->stx_mode);
}

UserPath without_slashes(const UserPath& path, bool* had) {
  UserPath out = path;
  while (out.text.size() > 1 && out.text.back() == '/') {
    out.text.pop_back();
    *had = true;
  }
  return out;
}

/// A new name is to be made: EEXIST where there is one already and the file system can't say so
/// itself because the path ends in "." or "..".
template <typename Make>
Outcome make_name(Call& call, DirFd dir, const UserPath& path, bool directory, Make make) {
  // filename_create() of fs/namei.c: the name itself is meant, not what a link there leads to.
  bool slash = false;
  Result<Walked> walked = walk_name(call, dir, without_slashes(path, &slash));
  if (!walked.ok()) return Outcome::error(walked.error());
  walked->must_be_dir = walked->must_be_dir || slash;
  if (walked->fs().read_only() && walked->found.kind == Found::Kind::kNode &&
      !walked->found.exists) {
    Result<Attr> there = walked->fs_mutable().getattr(walked->path);
    if (!there.ok() && there.error() == ENOENT) walked->found.kind = Found::Kind::kMissing;
  }
  bool missing = walked->found.kind == Found::Kind::kMissing;
  if (!missing && (walked->ends_in_dot || walked->view_path == "/" || walked->path.empty())) {
    return Outcome::error(EEXIST);
  }
  if (missing && walked->ends_in_dot) return Outcome::error(ENOENT);
  if (walked->native()) return call.change_on(*walked, path);
  if (slash && !directory) {
    return Outcome::error(!missing && is_there(*walked) ? Errno(EEXIST) : absence(*walked));
  }
  if (walked->fs().read_only()) return Outcome::error(missing ? EROFS : EEXIST);
  return Outcome::of(make(walked->fs_mutable(), walked->path));
}

Outcome mknod_at(Call& call, DirFd dir, const UserPath& path, mode_t mode, unsigned dev) {
  // The kernel's own encoding of a 32-bit device number is that of makedev() below 12 bits each.
  return make_name(call, dir, path, false, [&](FileSystem& fs, const std::string& name) {
    mode_t wanted = (mode & S_IFMT) == 0 ? (mode | S_IFREG) : mode;
    return fs.mknod(name, wanted, static_cast<dev_t>(dev), call.caller());
  });
}

Outcome mkdir_at(Call& call, DirFd dir, const UserPath& path, mode_t mode) {
  return make_name(call, dir, path, true, [&](FileSystem& fs, const std::string& name) {
    return fs.mkdir(name, mode, call.caller());
  });
}

Outcome symlink_at(Call& call, const UserPath& target, DirFd dir, const UserPath& path) {
  if (target.text.empty()) return Outcome::error(ENOENT);
  return make_name(call, dir, path, false, [&](FileSystem& fs, const std::string& name) {
    return fs.symlink(name, target.text, call.caller());
  });
}

/// Runs natively with an exit stop that tells the session of a success.
Outcome natively_then(Call& call, const Walked& walked, const UserPath& path,
                      std::function<void()> success) {
  Outcome out = call.change_on(walked, path);
  out.then([success = std::move(success)](long result) {
    if (result == 0) success();
    return result;
  });
  return out;
}

Outcome unlink_at(Call& call, DirFd dir, const UserPath& path) {
  // fs/namei.c, do_unlinkat(): the name itself is meant, with a slash behind it too.
  bool slash = false;
  Result<Walked> walked = walk_name(call, dir, without_slashes(path, &slash));
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->ends_in_dot) return Outcome::error(EISDIR);
  if (walked->path.empty() && walked->view_path != "/") return Outcome::error(EBUSY);
  walked->must_be_dir = walked->must_be_dir || slash;
  if (walked->native()) return call.change_on(*walked, path);
  if (walked->fs().read_only()) return Outcome::error(EROFS);
  if (walked->must_be_dir) {
    if (!is_there(*walked)) return Outcome::error(absence(*walked));
    return Outcome::error(is_directory(*walked) ? EISDIR : ENOTDIR);
  }
  return Outcome::of(walked->fs_mutable().unlink(walked->path, call.caller()));
}

Outcome rmdir_at(Call& call, DirFd dir, const UserPath& path) {
  UserPath name = path;
  while (name.text.size() > 1 && name.text.back() == '/') name.text.pop_back();
  std::string_view last = base_name(name.text);
  Result<Walked> walked = walk_name(call, dir, name);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (last == ".") return Outcome::error(EINVAL);
  if (last == "..") return Outcome::error(ENOTEMPTY);
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->view_path == "/" || call.view().has_mount_at_or_below(walked->view_path)) {
    return Outcome::error(EBUSY);
  }
  Session& session = call.session();
  std::string view_path = walked->view_path;
  if (walked->native()) {
    return natively_then(call, *walked, path,
                         [&session, view_path] { session.directory_removed(view_path); });
  }
  if (walked->fs().read_only()) return Outcome::error(EROFS);
  Result<void> done = walked->fs_mutable().rmdir(walked->path, call.caller());
  if (done.ok()) session.directory_removed(view_path);
  return Outcome::of(done);
}

struct TwoNames {
  Walked from;
  Walked to;
};

bool ends_in_dots(std::string_view text) {
  while (text.size() > 1 && text.back() == '/') text.remove_suffix(1);
  std::string_view last = base_name(text);
  return last == "." || last == "..";
}

/// lock_rename() and do_renameat2() of fs/namei.c: a directory can't get into itself. Told before
/// anything that the types of the two would say.
Result<void> not_into_itself(const Walked& from, const Walked& to, unsigned flags) {
  constexpr unsigned kNoReplace = 1;
  constexpr unsigned kExchange = 2;
  bool down = from.path != to.path && is_at_or_below(to.path, from.path);
  bool up = from.path != to.path && is_at_or_below(from.path, to.path);
  if (!down && !up) return {};
  if (!is_there(from)) return absence(from);
  if (absence(to) == ENAMETOOLONG) return Errno(ENAMETOOLONG);
  if ((flags & kExchange) != 0 && !is_there(to)) return absence(to);
  if ((flags & kNoReplace) != 0 && is_there(to)) return Errno(EEXIST);
  if (down || (flags & kExchange) != 0) return Errno(EINVAL);
  return Errno(ENOTEMPTY);
}

Outcome rename_checked(Call& call, const Walked& from, const Walked& to, const UserPath& from_path,
                       const UserPath& to_path, unsigned flags) {
  bool from_dir = is_directory(from);
  bool exchange = (flags & 2U) != 0;
  bool to_dir = (exchange || from_dir) && is_directory(to);
  bool replaces = to_dir && !exchange && from.view_path != to.view_path;
  if (!exchange) to_dir = false;
  Session& session = call.session();
  auto moved = [&session, from_dir, to_dir, replaces, a = from.view_path, b = to.view_path] {
    if (replaces) session.directory_removed(b);
    if (to_dir) session.directory_moved(b, "/\x01");
    if (from_dir) session.directory_moved(a, b);
    if (to_dir) session.directory_moved("/\x01", a);
  };
  if (from.native()) {
    Outcome out;
    if (!from.identity || !to.identity) {
      out = Outcome::rewritten()
                .path(from_path.argument, host_text(from))
                .path(to_path.argument, host_text(to));
    }
    out.changes_host = true;
    out.then([moved](long result) {
      if (result == 0) moved();
      return result;
    });
    return out;
  }
  if (from.fs().read_only()) return Outcome::error(EROFS);
  if (Result<void> may = not_into_itself(from, to, flags); !may.ok()) {
    return Outcome::error(may.error());
  }
  Result<void> done = from.fs_mutable().rename(from.path, to.path, flags, call.caller());
  if (done.ok()) moved();
  return Outcome::of(done);
}

/// do_renameat2() of fs/namei.c: a slash stands behind directories only; behind the new name, too,
/// where the old one is a directory, or where the two change places and the new one is.
Result<void> slashes_allowed(const Walked& from, const Walked& to, bool from_slash, bool to_slash,
                             unsigned flags) {
  constexpr unsigned kNoReplace = 1;
  bool exchange = (flags & 2U) != 0;
  bool there = to.found.kind != Found::Kind::kMissing && is_there(to);
  TRY_ASSIGN(Attr attr, from.fs_mutable().getattr(from.path));
  if (!there && absence(to) == ENAMETOOLONG) return Errno(ENAMETOOLONG);
  if (exchange && !there) return Errno(ENOENT);
  if ((flags & kNoReplace) != 0 && there) return Errno(EEXIST);
  if (exchange && to_slash && !is_directory(to)) return Errno(ENOTDIR);
  bool refused = from_slash || (to_slash && !exchange);
  return !S_ISDIR(attr.stx_mode) && refused ? Result<void>(Errno(ENOTDIR)) : Result<void>();
}

/// do_renameat2() of fs/namei.c compares where the names are, not what is mounted on them: that is
/// EBUSY.
std::shared_ptr<const Mount> mount_of_parent(Call& call, const Walked& walked) {
  bool mount_point = walked.path.empty() && walked.view_path != "/" && walked.mount->type != "hide";
  return mount_point ? call.view().locate(parent_path(walked.view_path)).mount : walked.mount;
}

/// do_renameat2() of fs/namei.c looks for the last names when both have a directory. Was it the
/// last name, then, of which the walk said this? It is too long, or its directory is one that was
/// removed, in which there is nothing.
bool has_parent(Errno error, const UserPath& name) {
  if (error == ENAMETOOLONG) return base_name(name.text).size() > NAME_MAX;
  return error == ENOENT && !name.text.empty() && base_name(name.text) == name.text;
}

Outcome rename_at(Call& call, DirFd from_dir, const UserPath& from_path, DirFd to_dir,
                  const UserPath& to_path, unsigned flags) {
  constexpr unsigned kNoReplace = 1;
  constexpr unsigned kExchange = 2;
  if ((flags & ~(kNoReplace | kExchange | 4U)) != 0) return Outcome::error(EINVAL);
  if ((flags & kExchange) != 0 && (flags & kNoReplace) != 0) return Outcome::error(EINVAL);
  bool from_slash = false;
  bool to_slash = false;
  UserPath from_name = without_slashes(from_path, &from_slash);
  UserPath to_name = without_slashes(to_path, &to_slash);
  Result<Walked> from = walk_name(call, from_dir, from_name);
  if (!from.ok() && !has_parent(from.error(), from_name)) return Outcome::error(from.error());
  Result<Walked> to = walk_name(call, to_dir, to_name);
  if (!to.ok() && !has_parent(to.error(), to_name)) return Outcome::error(to.error());
  if (ends_in_dots(from_path.text)) return Outcome::error(EBUSY);
  if (ends_in_dots(to_path.text)) return Outcome::error((flags & kNoReplace) != 0 ? EEXIST : EBUSY);
  if (!from.ok()) return Outcome::error(from.error());
  if (!to.ok()) return Outcome::error(is_there(*from) ? to.error() : absence(*from));
  if (mount_of_parent(call, *from) != mount_of_parent(call, *to)) return Outcome::error(EXDEV);
  if (from->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (call.view().has_mount_at_or_below(from->view_path) ||
      call.view().has_mount_at_or_below(to->view_path)) {
    return Outcome::error(EBUSY);
  }
  from->must_be_dir = from_slash;
  to->must_be_dir = to_slash;
  if ((from_slash || to_slash) && !from->native()) {
    Result<void> may = slashes_allowed(*from, *to, from_slash, to_slash, flags);
    if (!may.ok()) return Outcome::error(may.error());
  }
  return rename_checked(call, *from, *to, from_path, to_path, flags);
}

Outcome link_descriptor(Call& call, const std::string& fd_path, const Walked& to,
                        const UserPath& to_path, unsigned from_argument) {
  if (to.native()) {
    Outcome out =
        Outcome::rewritten().path(from_argument, fd_path).path(to_path.argument, host_text(to));
    out.arguments[4] = AT_SYMLINK_FOLLOW;
    out.changes_host = true;
    return out;
  }
  if (to.fs().read_only()) return Outcome::error(EROFS);
  // filename_create() comes before what vfs_link() says of the file.
  if (to.found.kind != Found::Kind::kMissing && is_there(to)) return Outcome::error(EEXIST);
  return Outcome::of(to.fs_mutable().link_host(fd_path, to.path, call.caller()));
}

/// linkat(2) of what a descriptor refers to. The kernel alone knows who may do that (since
/// Linux 6.10 whoever opened the file, before that CAP_DAC_READ_SEARCH): where the new name is ours
/// to make, the task is made to ask for a name that is there. EEXIST then says that it may.
Outcome link_open_file(Call& call, DirFd from, const Walked& to, const UserPath& to_path) {
  Result<Walked> object = call.walk_fd(from.value, true);
  bool shown = object.ok() && object->found.kind == Found::Kind::kNode && from.value != AT_FDCWD;
  std::string link = from.value == AT_FDCWD ? "/proc/" + std::to_string(call.task().tid) + "/cwd"
                                            : call.fd_path(from.value);
  bool foreign = shown ? object->mount != to.mount : !call.changeable(link);
  if (to.native() && !foreign) {
    Outcome out = call.change_on(to, to_path);
    return out;
  }
  Outcome out = Outcome::rewritten().path(to_path.argument, "/");
  out.then([foreign, shown, link, to, caller = call.caller(),
            path = shown ? object->path : std::string()](long result) -> long {
    if (result != -EEXIST) return result;
    if (to.found.kind != Found::Kind::kMissing && to.found.exists) return -EEXIST;
    if (foreign) return -EXDEV;
    if (to.fs().read_only()) return -EROFS;
    Result<void> done = shown ? to.fs_mutable().link(path, to.path, caller)
                              : to.fs_mutable().link_host(link, to.path, caller);
    return done.ok() ? 0 : -done.error().value();
  });
  return out;
}

Outcome link_named(Call& call, const Walked& from, const Walked& to, const UserPath& from_path,
                   const UserPath& to_path) {
  if (!to.native() || from.mount != to.mount) {
    // do_linkat() of fs/namei.c: the old name, the new one, whether it may be made, and where.
    int refused = from.mount != to.mount ? EXDEV : 0;
    if (to.fs().read_only()) refused = EROFS;
    if (to.found.kind != Found::Kind::kMissing && is_there(to)) refused = EEXIST;
    if (refused != 0) return Outcome::error(is_there(from) ? Errno(refused) : absence(from));
  }
  if (from.path.empty()) {
    bool taken = to.found.kind != Found::Kind::kMissing && is_there(to);
    return Outcome::error(taken ? EEXIST : EPERM);
  }
  if (!from.native()) {
    return Outcome::of(from.fs_mutable().link(from.path, to.path, call.caller()));
  }
  Outcome out;
  if (!from.identity || !to.identity) {
    out = Outcome::rewritten()
              .path(from_path.argument, host_text(from))
              .path(to_path.argument, host_text(to));
  }
  out.changes_host = true;
  return out;
}

/// What link(2) is asked to give a name to, as far as it has to be there before the new name
/// counts.
Result<Walked> walk_linked(Call& call, DirFd dir, const UserPath& path, int flags) {
  WalkFlags how;
  how.follow = (flags & AT_SYMLINK_FOLLOW) != 0;
  TRY_ASSIGN(Walked from, call.walk(dir, path, how));
  struct stat link {};
  bool gone = from.proc_magic && lstat(from.found.host.c_str(), &link) != 0;
  if (gone || from.found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  return from;
}

Outcome link_at(Call& call, DirFd from_dir, const UserPath& from_path, DirFd to_dir,
                const UserPath& to_path, int flags) {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return Outcome::error(EINVAL);
  bool descriptor = from_path.text.empty() && (flags & AT_EMPTY_PATH) != 0;
  Result<Walked> from = Errno(ENOENT);
  if (!descriptor) {
    from = walk_linked(call, from_dir, from_path, flags);
    if (!from.ok()) return Outcome::error(from.error());
  }
  bool slash = false;
  Result<Walked> to = walk_name(call, to_dir, without_slashes(to_path, &slash));
  if (!to.ok()) {
    bool there = descriptor || from->proc_magic || is_there(*from);
    return Outcome::error(there ? to.error() : absence(*from));
  }
  if (slash && !is_there(*to)) return Outcome::error(absence(*to));
  to->must_be_dir = to->must_be_dir || slash;
  if (descriptor) return link_open_file(call, from_dir, *to, to_path);
  if (from->proc_magic) return link_descriptor(call, from->found.host, *to, to_path, 1);
  return link_named(call, *from, *to, from_path, to_path);
}

}  // namespace

Outcome sys_mkdir(Call& call, UserPath path, Mode mode) {
  return mkdir_at(call, {AT_FDCWD}, path, mode);
}
Outcome sys_mkdirat(Call& call, DirFd dir, UserPath path, Mode mode) {
  return mkdir_at(call, dir, path, mode);
}
Outcome sys_mknod(Call& call, UserPath path, Mode mode, unsigned dev) {
  return mknod_at(call, {AT_FDCWD}, path, mode, dev);
}
Outcome sys_mknodat(Call& call, DirFd dir, UserPath path, Mode mode, unsigned dev) {
  return mknod_at(call, dir, path, mode, dev);
}
Outcome sys_rmdir(Call& call, UserPath path) { return rmdir_at(call, {AT_FDCWD}, path); }
Outcome sys_unlink(Call& call, UserPath path) { return unlink_at(call, {AT_FDCWD}, path); }
Outcome sys_unlinkat(Call& call, DirFd dir, UserPath path, Flags flags) {
  if ((flags & ~AT_REMOVEDIR) != 0) return Outcome::error(EINVAL);
  return (flags & AT_REMOVEDIR) != 0 ? rmdir_at(call, dir, path) : unlink_at(call, dir, path);
}
Outcome sys_rename(Call& call, UserPath from, UserPath to) {
  return rename_at(call, {AT_FDCWD}, from, {AT_FDCWD}, to, 0);
}
Outcome sys_renameat(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to) {
  return rename_at(call, from_dir, from, to_dir, to, 0);
}
Outcome sys_renameat2(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to,
                      Flags flags) {
  return rename_at(call, from_dir, from, to_dir, to, flags);
}
Outcome sys_link(Call& call, UserPath from, UserPath to) {
  return link_at(call, {AT_FDCWD}, from, {AT_FDCWD}, to, 0);
}
Outcome sys_linkat(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to,
                   Flags flags) {
  return link_at(call, from_dir, from, to_dir, to, flags);
}
Outcome sys_symlink(Call& call, UserPath target, UserPath path) {
  return symlink_at(call, target, {AT_FDCWD}, path);
}
Outcome sys_symlinkat(Call& call, UserPath target, DirFd dir, UserPath path) {
  return symlink_at(call, target, dir, path);
}

}  // namespace viewsh

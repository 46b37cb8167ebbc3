#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>

#include "syscalls/attr.h"
#include "syscalls/file_flags.h"
#include "syscalls/handlers.h"

namespace viewsh {

namespace {

Result<std::string> read_name(Call& call, uint64_t address) {
  Result<std::string> name = call.memory().read_string(address, XATTR_NAME_MAX + 1);
  if (!name.ok() && name.error() == ENAMETOOLONG) return Errno(ERANGE);
  if (name.ok() && name->empty()) return Errno(ERANGE);
  return name;
}

struct NewXattr {
  std::string name;
  std::string value;
};

/// setxattr_copy() of fs/xattr.c.
Result<NewXattr> read_xattr(Call& call, Addr<char> name, Addr<char> value, size_t size, int flags) {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0) return Errno(EINVAL);
  NewXattr out;
  TRY_ASSIGN(out.name, read_name(call, name.value));
  if (size > XATTR_SIZE_MAX) return Errno(E2BIG);
  out.value.resize(size);
  TRY(call.memory().read(value.value, out.value.data(), size));
  return out;
}

/// Since Linux 6.13 an xattr call looks at its other arguments before its path. fs/xattr.c
bool path_comes_last() {
  static const bool kLast = ::setxattr("", "", "", 0, 0) < 0 && errno == ERANGE;
  return kLast;
}

/// What is wrong with the name, where the kernel sees that before it looks for the file.
Result<void> early_name(Call& call, Addr<char> name) {
  if (!path_comes_last()) return {};
  TRY_ASSIGN(const std::string text, read_name(call, name.value));
  (void)text;
  return {};
}

Result<void> early_xattr(Call& call, Addr<char> name, Addr<char> value, size_t size, int flags) {
  if (!path_comes_last()) return {};
  TRY_ASSIGN(const NewXattr read, read_xattr(call, name, value, size, flags));
  (void)read;
  return {};
}

Outcome set_xattr_on(Call& call, const Walked& walked, Addr<char> name, Addr<char> value,
                     size_t size, int flags) {
  if (walked.fs().read_only()) return Outcome::error(EROFS);
  Result<NewXattr> set = read_xattr(call, name, value, size, flags);
  if (!set.ok()) return Outcome::error(set.error());
  return Outcome::of(
      walked.fs_mutable().setxattr(walked.path, set->name, set->value, flags, call.caller()));
}

Outcome remove_xattr_on(Call& call, const Walked& walked, Addr<char> name) {
  if (walked.fs().read_only()) return Outcome::error(EROFS);
  Result<std::string> text = read_name(call, name.value);
  if (!text.ok()) return Outcome::error(text.error());
  return Outcome::of(walked.fs_mutable().removexattr(walked.path, *text, call.caller()));
}

/// Walks for an xattr call and hands over to `change` where the call can't run natively.
template <typename Change>
Outcome xattr_path(Call& call, DirFd dir, const UserPath& path, bool follow, Change change) {
  WalkFlags flags;
  flags.follow = follow;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->proc_magic && !call.changeable(walked->found.host)) return Outcome::error(EROFS);
  if (walked->native() || walked->proc_magic) return call.run_on(*walked, path);
  return change(*walked);
}

/// xattr(7): user attributes are those of regular files and directories; the kernel says EPERM of
/// others, whose they are doesn't matter.
bool has_no_user_xattrs(Call& call, int fd) {
  struct stat st {};
  bool known = stat(call.fd_path(fd).c_str(), &st) == 0;
  return known && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/// `user`: a user attribute is changed.
template <typename Change>
Outcome xattr_fd(Call& call, int fd, bool user, Change change) {
  if (call.is_path_only(fd)) return Outcome::as_is();
  Result<Walked> walked = call.walk_fd(fd, true);
  if (!Call::shown(walked)) {
    return user && has_no_user_xattrs(call, fd) ? Outcome::as_is() : call.unshown(fd);
  }
  bool in_place =
      walked->found.in_place && walked->found.meta_host.empty() && call.is_open_on(fd, *walked);
  if (walked->native() || (in_place && !walked->fs().copies_refused())) {
    return Outcome::as_is();
  }
  return change(*walked);
}

/// What a call of this family that only reads asks for, and where the answer goes.
struct Question {
  std::optional<Addr<char>> name;  ///< nullopt: the names
  uint64_t to = 0;
  uint64_t size = 0;  ///< 0: only how much it would be
};

Outcome put_answer(Call& call, const Question& question, const std::string& answer) {
  if (question.size != 0) {
    if (answer.size() > question.size) return Outcome::error(ERANGE);
    Result<void> put = call.memory().write(question.to, answer.data(), answer.size());
    if (!put.ok()) return Outcome::error(put.error());
  }
  return Outcome::result(static_cast<long>(answer.size()));
}

/// The answer of a file system that keeps attributes itself; nullopt: the host's object has them.
std::optional<Outcome> ask_own(Call& call, const Walked& walked, const Question& question) {
  if (!walked.mount || !walked.fs().own_meta()) return std::nullopt;
  FileSystem& fs = walked.fs_mutable();
  Result<std::string> answer = Errno(ENOSYS);
  if (question.name) {
    Result<std::string> name = read_name(call, question.name->value);
    if (!name.ok()) return Outcome::error(name.error());
    answer = fs.getxattr(walked.path, *name, call.caller());
  } else if (auto names = fs.listxattr(walked.path, call.caller()); names.ok()) {
    std::string all;
    for (const std::string& name : *names) all.append(name.c_str(), name.size() + 1);
    answer = std::move(all);
  } else {
    answer = names.error();
  }
  if (answer.ok()) return put_answer(call, question, *answer);
  if (answer.error() == ENOSYS) return std::nullopt;
  return Outcome::error(answer.error());
}

/// `user`: the content of a user attribute is asked for, which is read as that of the file.
/// xattr(7)
Outcome get_xattr_path(Call& call, DirFd dir, const UserPath& path, bool follow, bool user,
                       const Question& question) {
  WalkFlags flags;
  flags.follow = follow;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (!walked->proc_magic) {
    if (auto answer = ask_own(call, *walked, question)) return std::move(*answer);
  }
  if (user && walked->found.attr_virtual) {
    // The host's object may be open where the view's isn't.
    Result<Attr> attr = walked->fs_mutable().getattr(walked->path);
    if (!attr.ok()) return Outcome::error(attr.error());
    Result<void> may = check_access(walked->fs_mutable(), walked->path, *attr, R_OK, call.caller());
    if (!may.ok()) return Outcome::error(may.error());
  }
  if (walked->found.meta_host.empty()) return call.run_on(*walked, path);
  return Outcome::rewritten().path(path.argument, walked->found.meta_host);
}

/// Of an open file; natively where the view has nothing else to say.
Outcome get_xattr_fd(Call& call, int fd, const Question& question) {
  if (call.is_path_only(fd)) return Outcome::as_is();
  Result<Walked> walked = call.walk_fd(fd);
  if (!Call::shown(walked)) return Outcome::as_is();
  std::optional<Outcome> answer = ask_own(call, *walked, question);
  return answer ? std::move(*answer) : Outcome::as_is();
}

bool is_user_name(Call& call, Addr<char> name) {
  Result<std::string> text = read_name(call, name.value);
  return text.ok() && text->starts_with("user.");
}

}  // namespace

Outcome sys_setxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size,
                     Flags flags) {
  if (auto ok = early_xattr(call, name, value, size, flags); !ok) return Outcome::error(ok.error());
  return xattr_path(call, {AT_FDCWD}, path, true, [&](const Walked& walked) {
    return set_xattr_on(call, walked, name, value, size, flags);
  });
}

Outcome sys_lsetxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size,
                      Flags flags) {
  if (auto ok = early_xattr(call, name, value, size, flags); !ok) return Outcome::error(ok.error());
  return xattr_path(call, {AT_FDCWD}, path, false, [&](const Walked& walked) {
    return set_xattr_on(call, walked, name, value, size, flags);
  });
}

Outcome sys_fsetxattr(Call& call, Fd fd, Addr<char> name, Addr<char> value, size_t size,
                      Flags flags) {
  if (auto ok = early_xattr(call, name, value, size, flags); !ok) return Outcome::error(ok.error());
  return xattr_fd(call, fd.value, is_user_name(call, name), [&](const Walked& walked) {
    return set_xattr_on(call, walked, name, value, size, flags);
  });
}

Outcome sys_removexattr(Call& call, UserPath path, Addr<char> name) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return xattr_path(call, {AT_FDCWD}, path, true,
                    [&](const Walked& walked) { return remove_xattr_on(call, walked, name); });
}

Outcome sys_lremovexattr(Call& call, UserPath path, Addr<char> name) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return xattr_path(call, {AT_FDCWD}, path, false,
                    [&](const Walked& walked) { return remove_xattr_on(call, walked, name); });
}

Outcome sys_fremovexattr(Call& call, Fd fd, Addr<char> name) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return xattr_fd(call, fd.value, is_user_name(call, name),
                  [&](const Walked& walked) { return remove_xattr_on(call, walked, name); });
}

Outcome sys_getxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return get_xattr_path(call, {AT_FDCWD}, path, true, is_user_name(call, name),
                        {name, value.value, size});
}

Outcome sys_lgetxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return get_xattr_path(call, {AT_FDCWD}, path, false, is_user_name(call, name),
                        {name, value.value, size});
}

Outcome sys_fgetxattr(Call& call, Fd fd, Addr<char> name, Addr<char> value, size_t size) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return get_xattr_fd(call, fd.value, {name, value.value, size});
}

Outcome sys_listxattr(Call& call, UserPath path, Addr<char> list, size_t size) {
  return get_xattr_path(call, {AT_FDCWD}, path, true, false, {std::nullopt, list.value, size});
}

Outcome sys_llistxattr(Call& call, UserPath path, Addr<char> list, size_t size) {
  return get_xattr_path(call, {AT_FDCWD}, path, false, false, {std::nullopt, list.value, size});
}

Outcome sys_flistxattr(Call& call, Fd fd, Addr<char> list, size_t size) {
  return get_xattr_fd(call, fd.value, {std::nullopt, list.value, size});
}

namespace {

/// What the *at calls of this family name: a path, or a descriptor itself.
struct Target {
  bool descriptor = false;
  bool follow = true;
  UserPath path;
};

Result<Target> target_of(DirFd dir, OptionalPath given, int flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Errno(EINVAL);
  bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
  if (given.null && !may_be_empty) return Errno(EFAULT);
  Target target;
  target.follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  target.path = std::move(given.path);
  bool empty = may_be_empty && target.path.text.empty();
  target.descriptor = empty && dir.value != AT_FDCWD;
  if (empty && !target.descriptor) target.path.text = ".";
  return target;
}

/// One of these calls that only reads.
Outcome read_at(Call& call, DirFd dir, OptionalPath path, int flags, bool user,
                const Question& question) {
  Result<Target> target = target_of(dir, std::move(path), flags);
  if (!target.ok()) return Outcome::error(target.error());
  if (target->descriptor) return get_xattr_fd(call, dir.value, question);
  return get_xattr_path(call, dir, target->path, target->follow, user, question);
}

/// struct xattr_args of <linux/xattr.h>, Linux 6.13.
struct XattrArgs {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};

/// copy_struct_from_user() of include/linux/uaccess.h.
Result<XattrArgs> read_args(Call& call, uint64_t address, size_t size) {
  if (size < sizeof(XattrArgs)) return Errno(EINVAL);
  if (size > 4096) return Errno(E2BIG);
  std::string bytes(size, '\0');
  TRY(call.memory().read(address, bytes.data(), size));
  if (bytes.find_first_not_of('\0', sizeof(XattrArgs)) != std::string::npos) return Errno(E2BIG);
  XattrArgs args{};
  memcpy(&args, bytes.data(), sizeof args);
  return args;
}

}  // namespace

Outcome sys_setxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name,
                       Addr<char> uargs, size_t size) {
  Result<XattrArgs> args = read_args(call, uargs.value, size);
  if (!args.ok()) return Outcome::error(args.error());
  auto early = early_xattr(call, name, {args->value}, args->size, static_cast<int>(args->flags));
  if (!early) return Outcome::error(early.error());
  Result<Target> target = target_of(dir, std::move(path), flags);
  if (!target.ok()) return Outcome::error(target.error());
  auto change = [&](const Walked& walked) {
    return set_xattr_on(call, walked, name, {args->value}, args->size,
                        static_cast<int>(args->flags));
  };
  if (target->descriptor) return xattr_fd(call, dir.value, is_user_name(call, name), change);
  return xattr_path(call, dir, target->path, target->follow, change);
}

Outcome sys_getxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name,
                       Addr<char> uargs, size_t size) {
  Result<XattrArgs> args = read_args(call, uargs.value, size);
  if (!args.ok()) return Outcome::error(args.error());
  if (args->flags != 0) return Outcome::error(EINVAL);
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  return read_at(call, dir, std::move(path), flags, is_user_name(call, name),
                 {name, args->value, args->size});
}

Outcome sys_listxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> list,
                        size_t size) {
  return read_at(call, dir, std::move(path), flags, false, {std::nullopt, list.value, size});
}

Outcome sys_removexattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name) {
  if (auto ok = early_name(call, name); !ok) return Outcome::error(ok.error());
  Result<Target> target = target_of(dir, std::move(path), flags);
  if (!target.ok()) return Outcome::error(target.error());
  auto change = [&](const Walked& walked) { return remove_xattr_on(call, walked, name); };
  if (target->descriptor) return xattr_fd(call, dir.value, is_user_name(call, name), change);
  return xattr_path(call, dir, target->path, target->follow, change);
}

Outcome sys_file_getattr(Call& call, DirFd dir, OptionalPath path, uint64_t to, uint64_t size,
                         Flags flags) {
  Result<Target> target = target_of(dir, std::move(path), flags);
  if (!target.ok()) return Outcome::error(target.error());
  WalkFlags how;
  how.follow = target->follow;
  Result<Walked> walked =
      target->descriptor ? call.walk_fd(dir.value, true) : call.walk(dir, target->path, how);
  if (target->descriptor && !Call::shown(walked)) return Outcome::as_is();
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (!walked->proc_magic) {
    if (auto answer = get_flags_at(call, *walked, to, size)) return std::move(*answer);
  }
  if (target->descriptor) return Outcome::as_is();
  if (walked->found.meta_host.empty()) return call.run_on(*walked, target->path);
  return Outcome::rewritten().path(target->path.argument, walked->found.meta_host);
}

/// As FS_IOC_FSSETXATTR, by path.
Outcome sys_file_setattr(Call& call, DirFd dir, OptionalPath path, uint64_t from, uint64_t size,
                         Flags flags) {
  Result<Target> target = target_of(dir, std::move(path), flags);
  if (!target.ok()) return Outcome::error(target.error());
  auto change = [&](const Walked& walked) {
    if (auto answer = set_flags_at(call, walked, from, size)) return std::move(*answer);
    return Outcome::error(walked.fs().read_only() ? EROFS : EOPNOTSUPP);
  };
  if (target->descriptor) return xattr_fd(call, dir.value, false, change);
  return xattr_path(call, dir, target->path, target->follow, change);
}

}  // namespace viewsh

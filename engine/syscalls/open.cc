#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "syscalls/attr.h"
#include "syscalls/borrow.h"
#include "syscalls/close.h"
#include "syscalls/fuse_device.h"
#include "syscalls/handlers.h"
#include "syscalls/proc_view.h"
#include "syscalls/writing.h"

namespace viewsh {

namespace {

/// An open in any of its spellings: where flags and mode stand, and how to place changed ones.
struct OpenCall {
  DirFd dir{AT_FDCWD};
  UserPath path;
  int flags = 0;
  mode_t mode = 0;
  uint64_t resolve = 0;
  int flags_argument = -1;  ///< register with the flags; -1: in struct open_how
  int mode_argument = -1;
  bool creat = false;
};

Outcome place(const OpenCall& open, const std::string& host, int flags, mode_t mode) {
  Outcome out = Outcome::rewritten().path(open.path.argument, host);
  if (open.creat) {
    out.nr = 257;  // SYS_openat: creat(2) has no flags to be changed
    out.texts[0].argument = 1;
    out.arguments[0] = static_cast<uint64_t>(AT_FDCWD);
    out.arguments[2] = static_cast<uint64_t>(flags);
    out.arguments[3] = mode;
    return out;
  }
  if (open.flags_argument >= 0) {
    out.arguments[static_cast<size_t>(open.flags_argument)] =
        static_cast<uint64_t>(static_cast<unsigned>(flags));
    out.arguments[static_cast<size_t>(open.mode_argument)] = mode;
    return out;
  }
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  out.texts.push_back({2, std::string(reinterpret_cast<const char*>(&how), sizeof how)});
  out.arguments[3] = sizeof how;
  return out;
}

bool only_reads(int flags) {
  if ((flags & O_PATH) != 0) return true;
  return (flags & O_ACCMODE) == O_RDONLY && (flags & (O_CREAT | O_TRUNC)) == 0 &&
         (flags & O_TMPFILE) != O_TMPFILE;
}

constexpr std::string_view kMemoryFile = "/memfd:";

/// The name of a memory file that stands for this one.
std::string memory_name(const std::string& view_path) {
  return ("viewsh:" + view_path).substr(0, 240);
}

/// Fills the memory file that a task made as descriptor `fd`. Its other threads may have put
/// something else there meanwhile, which is none of ours to write to.
Result<void> fill_made(const Task& task, int fd, const std::string& name, const std::string& text) {
  TRY_ASSIGN(UniqueFd made, borrow_fd(task, fd));
  char link[PATH_MAX];
  ssize_t n = readlink(("/proc/self/fd/" + std::to_string(made.get())).c_str(), link, sizeof link);
  if (n < 0) return Errno::last();
  if (!std::string_view(link, static_cast<size_t>(n)).starts_with(std::string(kMemoryFile) + name))
    return {};
  ssize_t written = pwrite(made.get(), text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size())) return Errno(ENOMEM);
  return from_libc(
      fcntl(made.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
}

/// The same for a task that the engine's descriptors are out of reach for, in a user namespace of
/// its own for example: it makes the memory file itself. That one is open for writing too, which
/// its seals refuse.
Outcome make_proc_text(Call& call, const OpenCall& open, const std::string& name,
                       const std::string& text) {
  Outcome out = Outcome::rewritten();
  out.nr = 319;  // SYS_memfd_create
  out.texts.push_back({0, std::string(name.c_str(), name.size() + 1)});
  out.arguments[1] = MFD_ALLOW_SEALING | ((open.flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0U);
  Task* task = &call.task();
  out.then([task, name, text](long result) {
    if (result < 0) return result;
    Result<void> filled = fill_made(*task, static_cast<int>(result), name, text);
    return filled.ok() ? result : static_cast<long>(-filled.error().value());
  });
  return out;
}

/// A file of /proc whose text is ours: a memory file that the task opens by the engine's
/// descriptor.
std::optional<Outcome> open_proc_text(Call& call, const OpenCall& open, const Walked& walked) {
  if (!call.session().host_proc || !walked.view_path.starts_with("/proc/")) return std::nullopt;
  if ((open.flags & (O_ACCMODE | O_PATH)) != O_RDONLY) return std::nullopt;
  TaskProcView proc(call.session(), call.task());
  Result<std::optional<std::string>> content = proc.content(walked.view_path.substr(6));
  if (!content.ok()) return Outcome::error(content.error());
  if (!*content) return std::nullopt;
  if ((open.flags & O_DIRECTORY) != 0 || walked.must_be_dir) return Outcome::error(ENOTDIR);
  const std::string& text = **content;
  std::string name = memory_name(walked.view_path);
  if (call.task().apart) return make_proc_text(call, open, name, text);
  auto file = std::make_shared<UniqueFd>(memfd_create(name.c_str(), MFD_CLOEXEC));
  if (!*file) return Outcome::error(Errno::last());
  if (write(file->get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Outcome::error(ENOMEM);
  }
  std::string host =
      "/proc/" + std::to_string(call.session().engine_pid) + "/fd/" + std::to_string(file->get());
  Outcome out = place(open, host, open.flags & ~O_NOFOLLOW, open.mode);
  Task* task = &call.task();
  out.then([file, task](long result) {
    if (result != -EACCES) return result;
    task->apart = true;
    return Outcome::kAgain;
  });
  return out;
}

Outcome open_planned(Call& call, const OpenCall& open, const Walked& walked) {
  if ((open.flags & O_PATH) == 0 && walked.found.type != NodeType::kDirectory) {
    if (auto first = trace_closes(call)) return std::move(*first);
  }
  OpenHow how{open.flags, open.mode, NodeType::kRegular};
  how.announced = hears_of_writes(*walked.mount->own_fs());
  how.by_link = !call.task().apart;
  Result<OpenPlan> plan = walked.fs_mutable().plan_open(walked.path, how, call.caller());
  if (!plan.ok()) return Outcome::error(plan.error());
  const bool by_link = !plan->shown.empty();
  call.session().note_opened(by_link ? plan->shown : plan->host, walked.view_path);
  if (walked.identity && plan->host == walked.found.host && plan->flags == open.flags &&
      !plan->notify) {
    return Outcome::as_is();
  }
  Outcome out = place(open, plan->host, plan->flags, plan->mode);
  if (plan->notify) {
    std::string links = "/proc/" + std::to_string(call.task().tid) + "/fd/";
    out.then([mount = walked.mount, path = walked.path, plan = *plan, links, by_link,
              task = &call.task()](long result) mutable {
      // What has no name is found by its descriptor.
      bool nameless = (plan.flags & O_TMPFILE) == O_TMPFILE && result >= 0;
      if (nameless) plan.host = links + std::to_string(result);
      mount->fs->opened(path, plan, result >= 0);
      // The engine's descriptors are out of its reach.
      if (!by_link || task->apart || (result != -EACCES && result != -ENOENT)) return result;
      task->apart = true;
      return Outcome::kAgain;
    });
  }
  return out;
}

/// The mount that a host path lies on; 0: unknown.
uint64_t mount_id(const std::string& host) {
  struct statx attr {};
  if (host.empty() || statx(AT_FDCWD, host.c_str(), AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &attr) < 0)
    return 0;
  return attr.stx_mnt_id;
}

/// RESOLVE_NO_XDEV: borders of the view's mounts were seen by the walk, those of the host's mounts
/// show between where it started and where it ended.
bool crossed_host_mount(Call& call, const OpenCall& open, const Walked& walked) {
  if ((open.resolve & RESOLVE_NO_XDEV) == 0 || !walked.native()) return false;
  std::string from = "/";
  if (open.path.text[0] != '/') {
    Result<WalkStart> start = call.start_of(open.dir);
    if (start.ok()) from = start->kernel_dir;
  }
  uint64_t begin = mount_id(from);
  uint64_t end = mount_id(walked.found.host);
  return begin != 0 && end != 0 && begin != end;
}

/// may_open_dev() of fs/namei.c
bool is_refused_device(const OpenCall& open, const Walked& walked) {
  if ((walked.mount->flags & MS_NODEV) == 0 || (open.flags & O_PATH) != 0) return false;
  Result<Attr> attr = walked.fs_mutable().getattr(walked.path);
  return attr.ok() && (S_ISCHR(attr->stx_mode) || S_ISBLK(attr->stx_mode));
}

/// build_open_flags() of fs/open.c refuses O_CREAT with O_DIRECTORY since Linux 6.4; before that a
/// directory that is there was EISDIR.
bool refuses_to_create_directories() {
  static const bool kRefuses = [] {
    UniqueFd none(open("/", O_RDONLY | O_CREAT | O_DIRECTORY | O_CLOEXEC, 0));
    return !none && errno == EINVAL;
  }();
  return kRefuses;
}

/// Why an object that the view shows nowhere isn't opened to be changed: may_open() of fs/namei.c
/// comes before what only a view says.
Errno unchangeable(Call& call, const std::string& link, int flags) {
  Attr attr{};
  if (statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr) < 0)
    return Errno::last();
  (void)call.view().fix_attr(&attr);
  if (S_ISDIR(attr.stx_mode)) return Errno(EISDIR);
  bool reads = (flags & O_ACCMODE) != O_WRONLY;
  Result<void> may = check_access(attr, W_OK | (reads ? R_OK : 0), call.caller());
  return may.ok() ? Errno(EROFS) : may.error();
}

/// The host's own object, which no file system plans.
Outcome open_host(Call& call, const OpenCall& open, const Walked& walked) {
  const bool missing = walked.found.kind == Found::Kind::kMissing;
  if (!missing) {
    if (std::optional<Outcome> text = open_proc_text(call, open, walked)) return std::move(*text);
  }
  call.session().note_opened(walked.found.host, walked.view_path);
  // By a link of /proc.
  if ((open.flags & O_TRUNC) != 0 && walked.proc_magic)
    tell_writing_to(call, -1, walked.found.host, {});
  Outcome out =
      walked.identity ? Outcome::as_is() : place(open, host_text(walked), open.flags, open.mode);
  out.changes_host = missing;
  return out;
}

Outcome open_in_view(Call& call, const OpenCall& open) {
  bool creates = (open.flags & O_CREAT) != 0 && (open.flags & O_PATH) == 0;
  if (creates && (open.flags & O_DIRECTORY) != 0 && refuses_to_create_directories()) {
    return Outcome::error(EINVAL);
  }
  WalkFlags flags;
  flags.resolve = open.resolve;
  if (creates && open.path.text.size() > 1 && open.path.text.ends_with('/')) {
    // open_last_lookups() of fs/namei.c says so before it looks for the last name.
    UserPath name = open.path;
    while (name.text.size() > 1 && name.text.ends_with('/')) name.text.pop_back();
    while (!name.text.empty() && !name.text.ends_with('/')) name.text.pop_back();
    name.text += '.';
    Result<Walked> parent = call.walk(open.dir, name, flags);
    return Outcome::error(parent.ok() ? Errno(EISDIR) : parent.error());
  }
  flags.follow = (open.flags & O_NOFOLLOW) == 0 && !(creates && (open.flags & O_EXCL) != 0);
  Result<Walked> walked = call.walk(open.dir, open.path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  bool missing = walked->found.kind == Found::Kind::kMissing;
  if (missing && !creates) return Outcome::error(ENOENT);
  if (creates && open.path.text == "/") return Outcome::error(EISDIR);
  if (missing && walked->must_be_dir) return Outcome::error(EISDIR);
  if (crossed_host_mount(call, open, *walked)) return Outcome::error(EXDEV);
  if (!missing && is_refused_device(open, *walked)) return Outcome::error(EACCES);
  if (FuseDevice* fuse = fuse_device_at(walked->fs_mutable()); fuse != nullptr && !missing) {
    if ((open.flags & O_PATH) == 0) return open_fuse(call, *fuse, open.flags);
  }
  if (walked->proc_magic && !only_reads(open.flags) && !call.changeable(walked->found.host)) {
    return Outcome::error(unchangeable(call, walked->found.host, open.flags));
  }
  bool as_host = only_reads(open.flags) && !missing && !walked->found.host.empty() &&
                 !walked->found.deferred &&
                 (!walked->found.attr_virtual || (open.flags & O_PATH) != 0);
  const bool planned = !walked->native() && !as_host && !walked->proc_magic;
  return planned ? open_planned(call, open, *walked) : open_host(call, open, *walked);
}

}  // namespace

Outcome sys_open(Call& call, UserPath path, Flags flags, Mode mode) {
  OpenCall open{{AT_FDCWD}, std::move(path), flags, mode, 0, 1, 2, false};
  return open_in_view(call, open);
}

Outcome sys_openat(Call& call, DirFd dir, UserPath path, Flags flags, Mode mode) {
  OpenCall open{dir, std::move(path), flags, mode, 0, 2, 3, false};
  return open_in_view(call, open);
}

Outcome sys_creat(Call& call, UserPath path, Mode mode) {
  OpenCall open{{AT_FDCWD}, std::move(path), O_CREAT | O_WRONLY | O_TRUNC, mode, 0, -1, -1, true};
  return open_in_view(call, open);
}

namespace {

/// The checks of openat2(2), in the kernel's order: before the path is looked at. fs/open.c,
/// build_open_flags.
Result<void> check_how(const open_how& how) {
  constexpr uint64_t kValidFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                                   O_NONBLOCK | O_SYNC | O_ASYNC | O_DIRECT | O_LARGEFILE |
                                   O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH |
                                   O_TMPFILE | 0100000 /* the kernel's own O_LARGEFILE */;
  constexpr uint64_t kWithPath = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  constexpr uint64_t kTmpfile = O_TMPFILE & ~O_DIRECTORY;
  constexpr uint64_t kResolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
  constexpr uint64_t kScopes = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  bool creates = (how.flags & (O_CREAT | kTmpfile)) != 0;
  bool tmpfile = (how.flags & kTmpfile) != 0;
  bool writes = (how.flags & O_ACCMODE) != O_RDONLY;
  bool wrong =
      (how.flags & ~kValidFlags) != 0 || (how.resolve & ~kResolve) != 0 ||
      (how.resolve & kScopes) == kScopes ||
      (creates ? (how.mode & ~uint64_t{07777}) != 0 : how.mode != 0) ||
      (tmpfile && ((how.flags & O_DIRECTORY) == 0 || (how.flags & O_CREAT) != 0 || !writes)) ||
      ((how.flags & O_PATH) != 0 && (how.flags & ~kWithPath) != 0);
  if (wrong) return Errno(EINVAL);
  bool makes = creates || (how.flags & O_TRUNC) != 0;
  if ((how.resolve & RESOLVE_CACHED) != 0 && makes) return Errno(EAGAIN);
  return {};
}

}  // namespace

Outcome sys_openat2(Call& call, DirFd dir, Addr<char> path, Addr<open_how> how, size_t size) {
  if (size < sizeof(open_how)) return Outcome::error(EINVAL);
  if (size > 4096) return Outcome::error(E2BIG);
  std::string bytes(size, '\0');
  Result<void> read = call.memory().read(how.value, bytes.data(), size);
  if (!read.ok()) return Outcome::error(read.error());
  if (bytes.find_first_not_of('\0', sizeof(open_how)) != std::string::npos) {
    return Outcome::error(E2BIG);
  }
  open_how wanted{};
  memcpy(&wanted, bytes.data(), sizeof wanted);
  Result<void> valid = check_how(wanted);
  if (!valid.ok()) return Outcome::error(valid.error());
  constexpr unsigned kPathArgument = 1;
  Result<std::string> text = call.memory().read_string(path.value, PATH_MAX);
  if (!text.ok()) return Outcome::error(text.error());
  // The view's own walk is never done without blocking: as if nothing were cached.
  if ((wanted.resolve & RESOLVE_CACHED) != 0)
    return Outcome::error(text->empty() ? ENOENT : EAGAIN);
  OpenCall open{dir,
                {std::move(*text), kPathArgument},
                static_cast<int>(wanted.flags),
                static_cast<mode_t>(wanted.mode),
                wanted.resolve,
                -1,
                -1,
                false};
  call.note_path(open.path);
  return open_in_view(call, open);
}

}  // namespace viewsh

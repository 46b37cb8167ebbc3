#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "viewsh/unique_fd.h"
#include "syscalls/handlers.h"
#include "syscalls/proc_view.h"

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
    out.arguments[static_cast<size_t>(open.flags_argument)] = static_cast<uint64_t>(static_cast<unsigned>(flags));
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

/// A file of /proc whose text is ours: a memory file that the task opens by the engine's descriptor.
std::optional<Outcome> open_proc_text(Call& call, const OpenCall& open, const Walked& walked) {
  if (!call.session().host_proc || !walked.view_path.starts_with("/proc/")) return std::nullopt;
  if ((open.flags & (O_ACCMODE | O_PATH)) != O_RDONLY) return std::nullopt;
  TaskProcView proc(call.session(), call.task());
  Result<std::optional<std::string>> content = proc.content(walked.view_path.substr(6));
  if (!content.ok()) return Outcome::error(content.error());
  if (!*content) return std::nullopt;
  auto file = std::make_shared<UniqueFd>(
      memfd_create(("viewsh:" + walked.view_path).substr(0, 240).c_str(), MFD_CLOEXEC));
  if (!*file) return Outcome::error(Errno::last());
  const std::string& text = **content;
  if (write(file->get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Outcome::error(ENOMEM);
  }
  std::string host = "/proc/" + std::to_string(call.session().engine_pid) + "/fd/" +
                     std::to_string(file->get());
  Outcome out = place(open, host, open.flags & ~(O_NOFOLLOW | O_DIRECTORY), open.mode);
  out.then([file](long result) { return result; });
  return out;
}

Outcome open_planned(Call& call, const OpenCall& open, const Walked& walked) {
  OpenHow how{open.flags, open.mode, NodeType::kRegular};
  Result<OpenPlan> plan = walked.fs_mutable().plan_open(walked.path, how, call.caller());
  if (!plan.ok()) return Outcome::error(plan.error());
  call.session().note_opened(plan->host, walked.view_path);
  if (walked.identity && plan->host == walked.found.host && plan->flags == open.flags &&
      !plan->notify) {
    return Outcome::as_is();
  }
  Outcome out = place(open, plan->host, plan->flags, plan->mode);
  if (plan->notify) {
    out.then([mount = walked.mount, path = walked.path, plan = *plan](long result) {
      mount->fs->opened(path, plan, result >= 0);
      return result;
    });
  }
  return out;
}

/// The mount that a host path lies on; 0: unknown.
uint64_t mount_id(const std::string& host) {
  struct statx attr {};
  if (host.empty() || statx(AT_FDCWD, host.c_str(), AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &attr) < 0) return 0;
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

/// build_open_flags() of fs/open.c refuses O_CREAT with O_DIRECTORY since Linux 6.4; before that a
/// directory that is there was EISDIR.
bool refuses_to_create_directories() {
  static const bool kRefuses = [] {
    UniqueFd none(open("/", O_RDONLY | O_CREAT | O_DIRECTORY | O_CLOEXEC, 0));
    return !none && errno == EINVAL;
  }();
  return kRefuses;
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
    flags.follow = false;
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
  if (walked->proc_magic && !only_reads(open.flags) && !Call::changeable(walked->found.host)) {
    return Outcome::error(EROFS);
  }
  bool native = walked->native();
  bool as_host = only_reads(open.flags) && !missing && !walked->found.host.empty() &&
                 (!walked->found.attr_virtual || (open.flags & O_PATH) != 0);
  if (native || as_host || walked->proc_magic) {
    if (!missing) {
      if (std::optional<Outcome> text = open_proc_text(call, open, *walked)) return std::move(*text);
    }
    call.session().note_opened(walked->found.host, walked->view_path);
    if (walked->identity) {
      Outcome out = Outcome::as_is();
      out.changes_host = missing;
      return out;
    }
    Outcome out = place(open, host_text(*walked), open.flags, open.mode);
    out.changes_host = missing;
    return out;
  }
  return open_planned(call, open, *walked);
}

}  // namespace

Outcome sys_open(Call& call, UserPath path, int flags, mode_t mode) {
  OpenCall open{{AT_FDCWD}, std::move(path), flags, mode, 0, 1, 2, false};
  return open_in_view(call, open);
}

Outcome sys_openat(Call& call, DirFd dir, UserPath path, int flags, mode_t mode) {
  OpenCall open{dir, std::move(path), flags, mode, 0, 2, 3, false};
  return open_in_view(call, open);
}

Outcome sys_creat(Call& call, UserPath path, mode_t mode) {
  OpenCall open{{AT_FDCWD}, std::move(path), O_CREAT | O_WRONLY | O_TRUNC, mode, 0, -1, -1, true};
  return open_in_view(call, open);
}

Outcome sys_openat2(Call& call, DirFd dir, UserPath path, Addr<open_how> how, size_t size) {
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
  constexpr uint64_t kKnown = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                              RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((wanted.resolve & RESOLVE_CACHED) != 0) return Outcome::error(EAGAIN);
  bool both = (wanted.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
  bool mode_without_create = wanted.mode != 0 && (wanted.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) == 0;
  constexpr uint64_t kWithPath = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
  if ((wanted.flags & O_PATH) != 0 && (wanted.flags & ~kWithPath) != 0) return Outcome::error(EINVAL);
  if ((wanted.resolve & ~kKnown) != 0 || wanted.flags > 0x7fffffff || both || mode_without_create ||
      (wanted.mode & ~uint64_t{07777}) != 0) {
    return Outcome::error(EINVAL);
  }
  OpenCall open{dir,          std::move(path), static_cast<int>(wanted.flags), static_cast<mode_t>(wanted.mode),
                wanted.resolve, -1,             -1,                             false};
  return open_in_view(call, open);
}

}  // namespace viewsh

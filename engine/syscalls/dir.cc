#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <fstream>
#include <functional>

#include "base/path.h"
#include "syscalls/attr.h"
#include "syscalls/borrow.h"
#include "syscalls/handlers.h"
#include "vfs/listing.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

/// From the effective set in /proc/TID/status. capabilities(7)
bool has_capability(pid_t tid, int capability) {
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (!line.starts_with("CapEff:")) continue;
    return ((std::stoull(line.substr(8), nullptr, 16) >> capability) & 1U) != 0;
  }
  return false;
}

/// `view`: the one that shows it, where the present one doesn't; else null.
Outcome change_directory(Call& call, Outcome run, std::string view_path, std::string host,
                         std::shared_ptr<const View> view = nullptr) {
  run.then([fs = call.task().fs, view_path = std::move(view_path), host = std::move(host),
            view = std::move(view)](long result) {
    if (result == 0) {
      fs->cwd = view_path;
      fs->kernel_cwd = host;
      fs->cwd_gone = false;
      fs->cwd_view = view;
    }
    return result;
  });
  return run;
}

/// How an entry is packed: struct linux_dirent64, or struct linux_dirent of getdents(2).
size_t pack_entry(const ListedEntry& entry, bool old_format, std::string* out) {
  size_t header = old_format ? 18 : 19;
  size_t size = header + entry.name.size() + 1 + (old_format ? 1 : 0);
  size = (size + 7) & ~size_t{7};
  std::string record(size, '\0');
  uint64_t ino = entry.ino;
  uint64_t next = entry.next;
  auto length = static_cast<uint16_t>(size);
  memcpy(record.data(), &ino, 8);
  memcpy(record.data() + 8, &next, 8);
  memcpy(record.data() + 16, &length, 2);
  if (old_format) {
    memcpy(record.data() + 18, entry.name.data(), entry.name.size());
    record[size - 1] = static_cast<char>(entry.type);
  } else {
    record[18] = static_cast<char>(entry.type);
    memcpy(record.data() + 19, entry.name.data(), entry.name.size());
  }
  out->append(record);
  return size;
}

/// Reads with the kernel's own positions, and keeps what `keep` says of a record; it may change it.
Outcome list_kernel(Call& call, int own, uint64_t buffer, unsigned size, bool old_format,
                    const std::function<bool(char* record, const char* name)>& keep) {
  std::string raw(std::min(size, 1U << 17U), '\0');
  std::string kept;
  while (kept.empty()) {
    long n = syscall(old_format ? SYS_getdents : SYS_getdents64, own, raw.data(), raw.size());
    if (n < 0) return Outcome::error(Errno::last());
    if (n == 0) break;
    for (long at = 0; at < n;) {
      char* record = raw.data() + at;
      uint16_t length = 0;
      memcpy(&length, record + 16, 2);
      if (keep(record, record + (old_format ? 18 : 19))) kept.append(record, length);
      at += length;
    }
  }
  Result<void> put = call.memory().write(buffer, kept.data(), kept.size());
  return put.ok() ? Outcome::result(static_cast<long>(kept.size())) : Outcome::error(put.error());
}

/// /proc without the engine: the kernel lists, and one entry is left out.
Outcome list_proc(Call& call, int fd, uint64_t buffer, unsigned size, bool old_format) {
  Result<UniqueFd> same = borrow_fd(call.task(), fd);
  if (!same.ok()) return Outcome::error(same.error());
  std::string name = std::to_string(call.session().engine_pid);
  return list_kernel(call, same->get(), buffer, size, old_format,
                     [&](char*, const char* entry) { return name != entry; });
}

/// A directory of the host that was read halfway when the view's became another one: the first part
/// was the kernel's, in its order, so the rest is as well. Of it come the names that are still
/// there. What was made since may come or not. readdir(3)
Outcome list_rest(Call& call, const Listing& listing, int own, uint64_t buffer, unsigned size,
                  bool old_format) {
  return list_kernel(call, own, buffer, size, old_format, [&](char* record, const char* name) {
    auto entry = listing.find(name);
    if (entry == listing.end()) return false;
    uint16_t length = 0;
    memcpy(record, &entry->ino, 8);
    memcpy(&length, record + 16, 2);
    record[old_format ? length - 1 : 18] = static_cast<char>(entry->type);
    return true;
  });
}

Outcome list_directory(Call& call, const View& view, const Walked& walked, int fd, uint64_t buffer,
                       unsigned size, bool old_format) {
  Result<UniqueFd> same = borrow_fd(call.task(), fd);
  if (!same.ok()) return Outcome::error(same.error());
  off_t position = lseek(same->get(), 0, SEEK_CUR);
  if (position < 0) return Outcome::error(Errno::last());
  bool ours = Listing::is_position(static_cast<uint64_t>(position));
  Result<const Listing*> listing = listing_of(view, walked, position == 0 || !ours);
  if (!listing.ok()) return Outcome::error(listing.error());
  if (!ours) return list_rest(call, **listing, same->get(), buffer, size, old_format);
  std::string packed;
  auto next = static_cast<uint64_t>(position);
  for (auto entry = (*listing)->from(next); entry != (*listing)->end(); ++entry) {
    std::string one;
    pack_entry(*entry, old_format, &one);
    if (packed.size() + one.size() > size) break;
    packed += one;
    next = entry->next;
  }
  if (packed.empty() && (*listing)->from(next) != (*listing)->end()) return Outcome::error(EINVAL);
  Result<void> put = call.memory().write(buffer, packed.data(), packed.size());
  if (!put.ok()) return Outcome::error(put.error());
  if (lseek(same->get(), static_cast<off_t>(next), SEEK_SET) < 0) {
    return Outcome::error(Errno::last());
  }
  return Outcome::result(static_cast<long>(packed.size()));
}

Outcome getdents_common(Call& call, int fd, uint64_t buffer, unsigned size, bool old_format) {
  Result<OpenObject> object = call.object(fd);
  if (!object.ok()) return Outcome::as_is();
  const Session::Covered covered =
      object->view_path ? Session::Covered{} : call.session().covered_place(object->host);
  if (!object->view_path && !covered.view) {
    // Removed in the view. fs/readdir.c, iterate_dir(): such a directory has no names.
    struct stat st {};
    bool removed =
        object->host[0] == '/' && stat(call.fd_path(fd).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    return removed ? Outcome::error(ENOENT) : Outcome::as_is();
  }
  Result<Walked> walked = call.walk_fd(fd);
  if (!walked.ok()) return Outcome::as_is();
  const View& view = covered.view ? *covered.view : call.view();
  const View::Node* node = view.node_at(walked->view_path);
  bool corrected = node != nullptr && !node->names.empty();
  bool engine_hidden = walked->view_path == "/proc" && call.session().host_proc && !covered.view;
  if (!walked->found.list_virtual && !corrected && !engine_hidden) return Outcome::as_is();
  if (engine_hidden && !corrected) {
    // Processes come and go while /proc is read: the kernel's own positions are kept.
    return list_proc(call, fd, buffer, size, old_format);
  }
  return list_directory(call, view, *walked, fd, buffer, size, old_format);
}

}  // namespace

Outcome sys_chdir(Call& call, UserPath path) {
  WalkFlags flags;
  flags.want_exists = true;
  Result<Walked> walked = call.walk({AT_FDCWD}, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  // A directory behind a magic link that the view doesn't show.
  if (walked->proc_magic) return Outcome::error(ENOENT);
  if (Result<void> may = call.may_search(*walked); !may.ok()) return Outcome::error(may.error());
  // From where the present view shows nothing one comes to the like, or out of there.
  std::shared_ptr<const View> other = path.text[0] == '/' ? nullptr : call.task().fs->cwd_view;
  if (call.view().locate(walked->view_path).mount->id == walked->mount->id) other = nullptr;
  return change_directory(call, call.run_on(*walked, path), walked->view_path, walked->found.host,
                          std::move(other));
}

/// The root is the engine's to keep: the kernel's own stays, since host paths have to work. Asks
/// for the capability, which a process of a user namespace of its own has.
Outcome sys_chroot(Call& call, UserPath path) {
  WalkFlags flags;
  flags.want_exists = true;
  Result<Walked> walked = call.walk({AT_FDCWD}, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  Result<Attr> attr = walked->fs_mutable().getattr(walked->path);
  if (!attr.ok()) return Outcome::error(attr.error());
  if (!S_ISDIR(attr->stx_mode)) return Outcome::error(ENOTDIR);
  constexpr int kCapSysChroot = 18;
  const bool may = call.caller().root_in_view() || has_capability(call.task().tid, kCapSysChroot);
  if (!may) return Outcome::error(EPERM);
  call.task().fs->root = walked->view_path;
  return Outcome::result(0);
}

/// A directory that was removed in the view and is open: the kernel takes it as a working
/// directory, in which nothing can be found. Nullopt: it wasn't removed, the view just doesn't show
/// it.
std::optional<Outcome> enter_removed(Call& call, int fd, const OpenObject& object) {
  Attr attr{};
  struct stat st {};
  std::string link = call.fd_path(fd);
  if (statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr) < 0 ||
      stat(link.c_str(), &st) < 0) {
    return std::nullopt;
  }
  (void)call.view().fix_attr(&attr);
  if (attr.stx_nlink != 0) return std::nullopt;
  if (auto may = check_access(attr, X_OK, call.caller()); !may.ok())
    return Outcome::error(may.error());
  // Only ".." leads on from there.
  constexpr std::string_view kDeleted = " (deleted)";
  std::string was = call.view().place_of(object.host, st).value_or(object.host);
  if (was.ends_with(kDeleted)) was.erase(was.size() - kDeleted.size());
  Outcome out = Outcome::as_is();
  out.then([fs = call.task().fs, was, host = object.host](long result) {
    if (result != 0) return result;
    fs->cwd = was;
    fs->kernel_cwd = host;
    fs->cwd_gone = true;
    fs->cwd_view = nullptr;
    return result;
  });
  return out;
}

Outcome sys_fchdir(Call& call, Fd fd) {
  Result<OpenObject> object = call.object(fd.value);
  if (!object.ok()) return Outcome::as_is();
  struct stat st {};
  bool directory = object->host[0] == '/' && stat(call.fd_path(fd.value).c_str(), &st) == 0 &&
                   S_ISDIR(st.st_mode);
  if (!directory) return Outcome::error(ENOTDIR);
  Result<Walked> walked = call.walk_fd(fd.value);
  if (!Call::shown(walked)) {
    if (auto removed = enter_removed(call, fd.value, *object)) return std::move(*removed);
  }
  std::shared_ptr<const View> other;
  if (!object->view_path) {
    Session::Covered covered = call.session().covered_place(object->host);
    if (!covered.view) return Outcome::error(ENOENT);
    object->view_path = std::move(covered.path);
    other = std::move(covered.view);
  }
  if (walked.ok()) {
    if (Result<void> may = call.may_search(*walked); !may.ok()) return Outcome::error(may.error());
  }
  return change_directory(call, Outcome::as_is(), *object->view_path, object->host,
                          std::move(other));
}

Outcome sys_getcwd(Call& call, Addr<char> buffer, size_t size) {
  const FsContext& fs = *call.task().fs;
  if (fs.cwd_gone) return Outcome::error(ENOENT);
  char text[PATH_MAX + 32];
  std::string link = "/proc/" + std::to_string(call.task().tid) + "/cwd";
  ssize_t n = readlink(link.c_str(), text, sizeof text);
  struct stat here {};
  bool says_deleted =
      n > 10 && std::string_view(text, static_cast<size_t>(n)).ends_with(" (deleted)");
  if (says_deleted && stat(link.c_str(), &here) == 0 && here.st_nlink == 0) {
    return Outcome::error(ENOENT);
  }
  std::string shown = fs.cwd;
  if (fs.root != "/") {
    bool inside = is_at_or_below(fs.cwd, fs.root);
    shown = inside ? "/" + std::string(below_of(fs.cwd, fs.root)) : "(unreachable)" + fs.cwd;
  }
  if (shown.size() >= PATH_MAX) return Outcome::error(ENAMETOOLONG);
  if (size < shown.size() + 1) return Outcome::error(ERANGE);
  Result<void> put = call.memory().write(buffer.value, shown.c_str(), shown.size() + 1);
  if (!put.ok()) return Outcome::error(put.error());
  return Outcome::result(static_cast<long>(shown.size() + 1));
}

Outcome sys_getdents64(Call& call, Fd fd, Addr<char> buffer, unsigned size) {
  return getdents_common(call, fd.value, buffer.value, size, false);
}

Outcome sys_getdents(Call& call, Fd fd, Addr<char> buffer, unsigned size) {
  return getdents_common(call, fd.value, buffer.value, size, true);
}

}  // namespace viewsh

#include "syscalls/proc_view.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/path.h"
#include "vfs/host_mounts.h"
#include "viewsh/served.h"

namespace viewsh {

namespace {

constexpr std::string_view kDeleted = " (deleted)";

std::optional<pid_t> number(std::string_view text) {
  pid_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> read_link(const std::string& path) {
  char text[PATH_MAX + 32];
  ssize_t n = readlink(path.c_str(), text, sizeof text);
  if (n < 0) return std::nullopt;
  return std::string(text, static_cast<size_t>(n));
}

/// Spaces and backslashes as in /proc/mounts. fstab(5).
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case ' ':
        out += "\\040";
        break;
      case '\t':
        out += "\\011";
        break;
      case '\n':
        out += "\\012";
        break;
      case '\\':
        out += "\\134";
        break;
      default:
        out += c;
    }
  }
  return out.empty() ? "none" : out;
}

/// Ids of the view's own mounts begin here: the host's have theirs.
constexpr int kFirstId = 1 << 20;

HostMount line_of(const Mount& mount) {
  HostMount line;
  line.id = kFirstId + mount.id;
  line.root = "/";
  line.at = mount.at;
  line.options = mount.fs->read_only() ? "ro" : "rw";
  if ((mount.flags & MS_NOSUID) != 0) line.options += ",nosuid";
  if ((mount.flags & MS_NODEV) != 0) line.options += ",nodev";
  if ((mount.flags & MS_NOEXEC) != 0) line.options += ",noexec";
  line.options += ",relatime";
  line.type = mount.type;
  line.source = escaped(mount.source);
  if (mount.late) {
    line.super = mount.super_read_only || mount.own_fs()->read_only() ? "ro" : "rw";
    if (!mount.options.empty()) line.super += "," + escaped(mount.options);
  } else {
    line.super =
        mount.options.empty() ? (mount.fs->read_only() ? "ro" : "rw") : escaped(mount.options);
  }
  line.device = "0:1";
  // Mount tables are read while servers hang.
  const auto* served = dynamic_cast<const Served*>(mount.own_fs().get());
  Result<Attr> attr = served != nullptr ? served->root() : mount.fs->getattr("");
  if (attr.ok()) {
    line.device = std::to_string(attr->stx_dev_major) + ":" + std::to_string(attr->stx_dev_minor);
  }
  return line;
}

/// A mount lies in that of the lines before it which is the deepest on its way.
int parent_of(const std::vector<HostMount>& lines, const HostMount& line) {
  int parent = kFirstId;
  size_t deepest = 0;
  for (const HostMount& one : lines) {
    if (one.at.size() < deepest || one.at == line.at || !is_at_or_below(line.at, one.at)) continue;
    deepest = one.at.size();
    parent = one.id;
  }
  return parent;
}

/// The view's mount table: the host's mounts that can be seen, then the view's own.
std::vector<HostMount> view_mounts(const View& view) {
  std::vector<HostMount> out;
  const auto& own = view.mounts();
  const Mount& root = *own.front();
  const int root_id = kFirstId + root.id;
  bool host_root = root.type == "host";
  if (!host_root) {
    out.push_back(line_of(root));
    out.back().parent = kFirstId;
  }
  int host_root_id = 0;
  for (HostMount& line : read_host_mounts()) {
    if (line.at == "/") host_root_id = line.id;
    std::optional<std::string> seen = view.reverse(line.at);
    if (!seen) continue;
    if (*seen == "/" && !host_root) continue;
    if (!host_root && line.parent == host_root_id) line.parent = root_id;
    line.at = *seen;
    out.push_back(std::move(line));
  }
  for (const auto& mount : own) {
    if (mount == own.front() || mount->internal) continue;
    if (mount->type == "hide") continue;
    HostMount line = line_of(*mount);
    line.parent = parent_of(out, line);
    out.push_back(std::move(line));
  }
  return out;
}

/// What a task bound over "/" for itself.
std::vector<HostMount> bound_mounts(const View& view, const FsContext& fs) {
  std::vector<HostMount> out;
  if (fs.bound.empty()) return out;
  for (const auto& mount : view.mounts()) {
    if (mount->internal || mount->at == fs.bound || !is_at_or_below(mount->at, fs.bound)) continue;
    out.push_back(line_of(*mount));
    out.back().at = join_path("/", below_of(mount->at, fs.bound));
  }
  return out;
}

std::vector<HostMount> task_mounts(const View& view, const FsContext& fs) {
  std::vector<HostMount> out = view_mounts(view);
  for (HostMount& line : bound_mounts(view, fs)) out.push_back(std::move(line));
  return out;
}

std::string mounts_text(const std::vector<HostMount>& lines) {
  std::string out;
  for (const HostMount& line : lines) {
    out += line.source + " " + escaped(line.at) + " " + line.type + " " + line.options + " 0 0\n";
  }
  return out;
}

std::string mountinfo_text(const std::vector<HostMount>& lines) {
  std::string out;
  for (const HostMount& line : lines) {
    out += std::to_string(line.id) + " " + std::to_string(line.parent) + " " + line.device + " " +
           line.root + " " + escaped(line.at) + " " + line.options + line.optional + " - " +
           line.type + " " + line.source + " " + line.super + "\n";
  }
  return out;
}

/// What mount(2) knows in the view. mount(8) goes through them where it doesn't find out the type.
std::string filesystems_text(Mounter& mounter) {
  std::string out;
  for (const Mounter::Type& type : mounter.types())
    out += (type.nodev ? "nodev\t" : "\t") + type.name + "\n";
  return out;
}

/// Host paths at the end of the lines of maps and smaps become view paths.
std::string maps_text(const std::string& host_file, const View& view) {
  std::ifstream file(host_file);
  std::string out;
  std::string line;
  while (std::getline(file, line)) {
    size_t at = line.find('/');
    bool range = line.find('-') != std::string::npos && line.find('-') < line.find(' ');
    if (range && at != std::string::npos) {
      std::string path = line.substr(at);
      bool deleted = path.ends_with(kDeleted);
      if (deleted) path.erase(path.size() - kDeleted.size());
      if (std::optional<std::string> seen = view.reverse(path)) {
        line = line.substr(0, at) + *seen + (deleted ? std::string(kDeleted) : "");
      }
    }
    out += line + "\n";
  }
  return out;
}

/// "Uid:", "Gid:" and "Groups:" with the ids that the view shows. `task`: null for a process that
/// is none of the view's.
void show_ids(const Identity& identity, const Task* task, std::string* line) {
  const bool users = line->starts_with("Uid:");
  if (!users && !line->starts_with("Gid:")) {
    if (task == nullptr || !line->starts_with("Groups:")) return;
    *line = "Groups:\t";
    for (const gid_t group : identity.credentials().groups) *line += std::to_string(group) + " ";
    return;
  }
  std::istringstream words(line->substr(4));
  line->resize(4);
  for (uint32_t id = 0; words >> id;)
    *line += "\t" + std::to_string(users ? identity.shown_uid(id) : identity.shown_gid(id));
}

/// `task`: null for a process that is none of the view's.
std::string status_text(const std::string& host_file, const Task* task, const Identity* identity) {
  int filters = 0;
  const OwnFilter* first = task == nullptr ? nullptr : task->filters.get();
  for (const OwnFilter* one = first; one != nullptr; one = one->before.get()) ++filters;
  std::ifstream file(host_file);
  std::string out;
  std::string line;
  while (std::getline(file, line)) {
    if (identity != nullptr) show_ids(*identity, task, &line);
    if (task == nullptr) {
      out += line + "\n";
      continue;
    }
    if (line.starts_with("TracerPid:")) line = "TracerPid:\t0";
    if (line.starts_with("Seccomp:")) line = std::string("Seccomp:\t") + (filters == 0 ? "0" : "2");
    if (line.starts_with("Seccomp_filters:")) line = "Seccomp_filters:\t" + std::to_string(filters);
    out += line + "\n";
  }
  return out;
}

/// What the kernel keeps of the auxiliary vector, with the ids of the view. proc(5)
std::string auxv_text(const std::string& host_file, const Credentials& who) {
  std::ifstream file(host_file, std::ios::binary);
  std::string out((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (size_t at = 0; at + 16 <= out.size(); at += 16) {
    uint64_t type = 0;
    memcpy(&type, out.data() + at, sizeof type);
    const std::optional<uint32_t> id = auxiliary_id(who, type);
    const uint64_t value = id.value_or(0);
    if (id) memcpy(out.data() + at + 8, &value, sizeof value);
  }
  return out;
}

}  // namespace

std::optional<uint32_t> auxiliary_id(const Credentials& who, uint64_t type) {
  switch (type) {
    case AT_UID:
      return who.ruid;
    case AT_EUID:
      return who.euid;
    case AT_GID:
      return who.rgid;
    case AT_EGID:
      return who.egid;
    default:
      return std::nullopt;
  }
}

bool same_file(const std::string& link, const std::string& host) {
  struct stat open_one {};
  struct stat named {};
  // A link that is open by O_PATH is not followed any further.
  return stat(link.c_str(), &open_one) == 0 && lstat(host.c_str(), &named) == 0 &&
         !S_ISLNK(named.st_mode) && open_one.st_dev == named.st_dev &&
         open_one.st_ino == named.st_ino;
}

std::string TaskProcView::self() const { return std::to_string(task_.tgid); }

std::string TaskProcView::thread_self() const {
  return std::to_string(task_.tgid) + "/task/" + std::to_string(task_.tid);
}

bool TaskProcView::hidden(std::string_view pid) const {
  return pid == std::to_string(session_.engine_pid);
}

const Task* TaskProcView::owner(std::string_view inside, std::string_view* name) const {
  std::vector<std::string_view> parts = components(inside);
  if (parts.size() < 2) return nullptr;
  std::optional<pid_t> pid = number(parts[0]);
  size_t used = 1;
  if (parts.size() > 3 && parts[1] == "task") {
    pid = number(parts[2]);
    used = 3;
  }
  *name = std::string_view(parts[used].data(),
                           static_cast<size_t>(inside.data() + inside.size() - parts[used].data()));
  return pid ? session_.task(*pid) : nullptr;
}

std::optional<std::string> TaskProcView::magic_target(std::string_view inside) const {
  std::string_view name;
  const Task* task = owner(inside, &name);
  if (task != nullptr && name == "root") return task->fs->root;
  if (task != nullptr && name == "cwd")
    return task->fs->cwd_gone ? std::nullopt : std::optional(task->fs->cwd);
  if (task != nullptr && name == "exe") {
    return task->mm->exe.empty() ? std::nullopt : std::optional(task->mm->exe);
  }
  std::string link = "/proc/" + std::string(inside);
  std::optional<std::string> host = read_link(link);
  if (!host || (*host)[0] != '/') return std::nullopt;
  // What a task has open for writing already may be opened again as it is: a log file that came
  // from outside as standard error, say. The link's own mode tells how the descriptor was opened.
  struct stat how {};
  if (task != nullptr && lstat(link.c_str(), &how) == 0 && (how.st_mode & S_IWUSR) != 0) {
    struct stat object {};
    if (stat(link.c_str(), &object) == 0 && S_ISREG(object.st_mode)) return std::nullopt;
  }
  std::optional<std::string> seen = session_.view_path_of(*host);
  if (!seen || !same_file(link, *host)) return session_.name_of_open(link);
  return seen;
}

bool TaskProcView::leads_to_directory(std::string_view inside) const {
  struct stat object {};
  return stat(("/proc/" + std::string(inside)).c_str(), &object) == 0 && S_ISDIR(object.st_mode);
}

std::optional<std::string> TaskProcView::magic_text(std::string_view inside) const {
  if (!is_magic_name(inside)) return std::nullopt;
  std::string_view name;
  const Task* task = owner(inside, &name);
  if (task == nullptr) return std::nullopt;
  if (name == "root") return task->fs->root;
  if (name == "cwd") return task->fs->cwd + (task->fs->cwd_gone ? std::string(kDeleted) : "");
  if (name == "exe" && !task->mm->exe.empty()) return task->mm->exe;
  std::optional<std::string> host = read_link("/proc/" + std::string(inside));
  if (!host || (*host)[0] != '/') return std::nullopt;
  bool deleted = host->ends_with(kDeleted);
  if (deleted) host->erase(host->size() - kDeleted.size());
  constexpr std::string_view kOurs = "/memfd:viewsh:";
  if (host->starts_with(kOurs)) return host->substr(kOurs.size());
  std::optional<std::string> seen = session_.view_path_of(*host);
  if (!seen) {
    // Removed in the view, not on the host.
    Attr attr{};
    const std::string link = "/proc/" + std::string(inside);
    if (deleted || statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr) < 0 ||
        !session_.view->fix_attr(&attr) || attr.stx_nlink != 0) {
      return std::nullopt;
    }
    auto opened = session_.opened_at.find(*host);
    return (opened != session_.opened_at.end() ? opened->second : *host) + std::string(kDeleted);
  }
  return *seen + (deleted ? std::string(kDeleted) : "");
}

std::string bound_mounts_text(const View& view, const FsContext& fs) {
  return mounts_text(bound_mounts(view, fs));
}

Result<std::optional<std::string>> TaskProcView::content(std::string_view inside) const {
  using Text = std::optional<std::string>;
  std::string_view name;
  if (inside == "filesystems" && session_.mounter != nullptr)
    return Text(filesystems_text(*session_.mounter));
  const Task* task = owner(inside, &name);
  std::string host = "/proc/" + std::string(inside);
  const Identity* identity = session_.identity;
  if (task == nullptr && identity != nullptr && name == "status" && access(host.c_str(), R_OK) == 0)
    return Text(status_text(host, nullptr, identity));
  if (task == nullptr) return Text();
  if (name == "mounts") return Text(mounts_text(task_mounts(*session_.view, *task->fs)));
  if (name == "mountinfo") return Text(mountinfo_text(task_mounts(*session_.view, *task->fs)));
  if (name != "maps" && name != "smaps" && name != "numa_maps" && name != "status" &&
      (name != "auxv" || identity == nullptr))
    return Text();
  if (access(host.c_str(), R_OK) < 0) return Errno::last();
  if (name == "status") {
    // While the engine keeps the task on its own processor the kernel would tell that one.
    if (session_.show_affinity) session_.show_affinity(*session_.task(task->tid));
    return Text(status_text(host, task, identity));
  }
  if (name == "auxv") return Text(auxv_text(host, identity->credentials()));
  return Text(maps_text(host, *session_.view));
}

}  // namespace viewsh

#include "syscalls/mount_users.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <memory>

#include "viewsh/served.h"

namespace viewsh {

namespace {

std::string without_deleted(const std::string& host) {
  constexpr std::string_view kDeleted = " (deleted)";
  return host.ends_with(kDeleted) ? host.substr(0, host.size() - kDeleted.size()) : host;
}

bool is_own(const Session& session, const Mount& mount) {
  return std::any_of(session.late.begin(), session.late.end(),
                     [&](const auto& one) { return one->id == mount.id; });
}

/// A path that leads through it is looked up just now, say.
bool is_asked(const Mount& mount) {
  const auto* served = dynamic_cast<const Served*>(mount.own_fs().get());
  return served != nullptr && served->busy();
}

}  // namespace

MountUsers::MountUsers(const Session& session) : session_(session) {
  for (const auto& [tid, task] : session.tasks) {
    read_descriptors(tid);
    if (task->tgid == tid) read_mappings(tid);
  }
}

void MountUsers::read_descriptors(pid_t tid) {
  const std::string dir = "/proc/" + std::to_string(tid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
  if (open == nullptr) return;
  while (const dirent* entry = readdir(open.get())) {
    const std::string link = dir + "/" + entry->d_name;
    char text[PATH_MAX + 32];
    const ssize_t n = readlink(link.c_str(), text, sizeof text);
    if (n <= 0 || text[0] != '/') continue;
    struct stat how {};
    const bool writing = lstat(link.c_str(), &how) == 0 && (how.st_mode & S_IWUSR) != 0;
    used_.push_back({std::string(text, static_cast<size_t>(n)), link, writing});
  }
}

void MountUsers::read_mappings(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::string line;
  std::string last;
  while (std::getline(maps, line)) {
    const size_t at = line.find('/');
    const size_t rights = line.find(' ');
    if (at == std::string::npos || rights == std::string::npos || rights + 4 >= line.size())
      continue;
    const bool writing = line[rights + 2] == 'w' && line[rights + 4] == 's';
    std::string host = line.substr(at);
    if (host == last && !writing) continue;
    last = host;
    used_.push_back({std::move(host), "", writing});
  }
}

bool MountUsers::is_of(const Used& used, FileSystem& fs) {
  if (fs.reverse(without_deleted(used.host))) return true;
  struct stat object {};
  return !used.link.empty() && stat(used.link.c_str(), &object) == 0 &&
         fs.own_path(used.host, object).has_value();
}

/// By the path that it was opened by, where that is known; else by the file system that it is of.
/// So a bind, which loses nothing when it goes, isn't kept by what was opened elsewhere.
bool MountUsers::is_in(const Used& used, const Mount& mount) const {
  const std::string name = without_deleted(used.host);
  const auto opened = session_.opened_at.find(name);
  if (opened != session_.opened_at.end()) {
    const Location here = session_.view->locate(opened->second);
    if (here.mount->fs->reverse(name) == here.path) return here.mount->id == mount.id;
  }
  return is_own(session_, mount) && is_of(used, *mount.own_fs());
}

bool MountUsers::works_in(const FsContext& fs, const Mount& mount) const {
  const View& view = fs.cwd_view ? *fs.cwd_view : *session_.view;
  return view.locate(fs.cwd).mount->id == mount.id ||
         session_.view->locate(fs.root).mount->id == mount.id;
}

bool MountUsers::busy(const Mount& mount) const {
  const auto& tasks = session_.tasks;
  return is_asked(mount) ||
         std::any_of(
             tasks.begin(), tasks.end(),
             [&](const auto& one) { return one.second->fs && works_in(*one.second->fs, mount); }) ||
         std::any_of(used_.begin(), used_.end(),
                     [&](const Used& used) { return is_in(used, mount); });
}

bool MountUsers::written(const Mount& mount) const {
  return std::any_of(used_.begin(), used_.end(),
                     [&](const Used& used) { return used.writing && is_in(used, mount); });
}

bool MountUsers::alive(const Mount& mount) const {
  const auto works = [&](const FsContext& fs) {
    const View& view = fs.cwd_view ? *fs.cwd_view : *session_.view;
    const Location here = view.locate(fs.cwd);
    return here.mount->id == mount.id || here.mount->part_of == mount.id;
  };
  const auto& tasks = session_.tasks;
  return is_asked(mount) ||
         std::any_of(tasks.begin(), tasks.end(),
                     [&](const auto& one) { return one.second->fs && works(*one.second->fs); }) ||
         std::any_of(used_.begin(), used_.end(),
                     [&](const Used& used) { return is_of(used, *mount.own_fs()); });
}

}  // namespace viewsh

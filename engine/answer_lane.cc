#include "answer_lane.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base/path.h"
#include "view_spec.h"
#include "viewsh/constant.h"

namespace viewsh {

namespace {

/// Directories that are remembered.
constexpr size_t kMostKept = 65536;
/// Names of a directory that are told at once; a larger one's would displace each other.
constexpr size_t kMostNames = AnswerTable::kEntries / 4;
/// Who has asked for that many names will ask for others.
constexpr int kEnoughNames = 4;

/// Components with one slash between them, of which none is "." or "..".
bool is_plain(std::string_view text) {
  if (text.empty() || text.front() == '/' || text.back() == '/') return false;
  if (text.find("//") != std::string_view::npos) return false;
  const auto parts = components(text);
  return std::none_of(parts.begin(), parts.end(),
                      [](std::string_view part) { return part == "." || part == ".."; });
}

/// Could it show parts of what was mounted before it, in a way that changes?
bool is_stacked(const Mount& mount) {
  return is_copy_on_write(mount.type) || mount.type == "merge";
}

}  // namespace

bool AnswerLane::answers(long nr) {
  switch (nr) {
    case SYS_newfstatat:
    case SYS_stat:
    case SYS_lstat:
    case SYS_fstat:
    case SYS_statx:
    case SYS_access:
    case SYS_faccessat:
    case SYS_open:
    case SYS_openat:
      return true;
    default:
      return false;
  }
}

bool AnswerLane::asks_for_name(const Call& call) {
  const auto nr = static_cast<long>(call.regs().orig_rax);
  return answers(nr) && nr != SYS_open && nr != SYS_openat && nr != SYS_fstat;
}

void AnswerLane::learn(Call& call) {
  if (round_ != table_->round()) begin_round();
  const Walked place = *call.constant();
  const auto nr = static_cast<long>(call.regs().orig_rax);
  if (nr == SYS_getdents64) {
    if (call.task().mm->lookup.names >= kEnoughNames) learn_list(place);
    return;
  }
  if (!answers(nr) || nr == SYS_fstat) return;
  const bool opens = nr == SYS_open || nr == SYS_openat;
  if (opens && place.found.kind == Found::Kind::kNode) return learn_object(place);
  const bool at = nr != SYS_stat && nr != SYS_lstat && nr != SYS_access && nr != SYS_open;
  const Result<std::string> text = call.memory().read_string(call.argument(at ? 1 : 0), PATH_MAX);
  if (text.ok()) learn_name(call, at ? static_cast<int>(call.argument(0)) : AT_FDCWD, *text);
}

void AnswerLane::begin_round() {
  round_ = table_->round();
  directories_.clear();
  open_to_all_.clear();
  alone_.clear();
}

/// Is it at its place in the present view, and there alone? `host`: its object.
bool AnswerLane::is_usable(const Walked& place, const std::string& host) {
  return place.found.kind == Found::Kind::kNode && place.mount->is_constant() &&
         session_->view->locate(place.view_path).mount == place.mount &&
         is_alone(place.mount, host);
}

/// Who has an object of the mount open, has it by that mount.
bool AnswerLane::is_alone(const std::shared_ptr<const Mount>& mount, const std::string& host) {
  const auto known = alone_.find(mount.get());
  if (known != alone_.end()) return known->second;
  const View& view = *session_->view;
  const bool alone = std::none_of(view.mounts().begin(), view.mounts().end(), [&](const auto& one) {
    if (one == mount) return false;
    if (is_stacked(*one) && one->id > mount->id) return true;
    const std::optional<std::string> inner = one->fs->reverse(host);
    return inner && view.locate(join_path(one->at, *inner)).mount == one;
  });
  if (alone) {
    dynamic_cast<Constant&>(*mount->fs).on_removal([table = table_](uint64_t dev, uint64_t ino) {
      table->answers().forget(dev, ino);
    });
  }
  return alone_[mount.get()] = alone;
}

/// May everybody search the directory, and all above it in the mount?
bool AnswerLane::is_open_to_all(const Mount& mount, const std::string& path) {
  const auto known = open_to_all_.find({&mount, path});
  if (known != open_to_all_.end()) return known->second;
  constexpr unsigned kSearch = S_IXUSR | S_IXGRP | S_IXOTH;
  const Result<Attr> attr = mount.fs->getattr(path);
  bool open = attr.ok() && S_ISDIR(attr->stx_mode) && (attr->stx_mode & kSearch) == kSearch;
  if (open && mount.fs->own_meta()) {
    // Who is named in an ACL may have fewer rights than the others.
    const Caller root{0, session_->gid, session_->groups, 0, nullptr};
    const auto acl = mount.fs->getxattr(path, "system.posix_acl_access", root);
    open = !acl.ok() && (acl.error() == ENODATA || acl.error() == EOPNOTSUPP);
  }
  const size_t slash = path.rfind('/');
  const std::string above = path.substr(0, slash == std::string::npos ? 0 : slash);
  open = open && (path.empty() || is_open_to_all(mount, above));
  if (open_to_all_.size() >= kMostKept) open_to_all_.clear();
  return open_to_all_[{&mount, path}] = open;
}

AnswerLane::Directory* AnswerLane::add_directory(const Walked& place, const Object& object) {
  if (!is_open_to_all(*place.mount, place.path)) return nullptr;
  if (directories_.size() >= kMostKept) directories_.clear();
  Directory made{place.mount, place.path, place.view_path};
  return &directories_.try_emplace(object, std::move(made)).first->second;
}

/// The directory where a relative path begins; null: nothing is told of it.
AnswerLane::Directory* AnswerLane::directory(Call& call, int fd, Object* object) {
  const FsContext& fs = *call.task().fs;
  const bool here = fd == AT_FDCWD;
  if (here && (fs.cwd_gone || fs.cwd_view)) return nullptr;
  const std::string cwd = "/proc/" + std::to_string(call.task().tid) + "/cwd";
  struct stat st {};
  if (stat((here ? cwd : call.fd_path(fd)).c_str(), &st) < 0) return nullptr;
  *object = {st.st_dev, st.st_ino};
  const auto known = directories_.find(*object);
  if (known != directories_.end()) {
    return known->second.mount->is_constant() ? &known->second : nullptr;
  }
  const Result<Walked> place = here ? call.walk({fd}, {".", 0}, {}) : call.walk_fd(fd);
  if (!place.ok() || !is_usable(*place, place->found.host)) return nullptr;
  // It is open, and not something else that was open before under that number.
  struct stat own {};
  if (lstat(place->found.host.c_str(), &own) < 0 || Object(own.st_dev, own.st_ino) != *object)
    return nullptr;
  return add_directory(*place, *object);
}

void AnswerLane::learn_name(Call& call, int dir, const std::string& text) {
  if (!AnswerWriter::fits(text) || !is_plain(text)) return;
  Object object;
  const Directory* from = directory(call, dir, &object);
  if (from == nullptr) return;
  // No mount on the way, and nothing but directories that everybody may search.
  if (session_->view->locate(join_path(from->view_path, text)).mount != from->mount) return;
  const std::string path = from->path.empty() ? text : from->path + "/" + text;
  const size_t slash = path.rfind('/');
  const std::string above = path.substr(0, slash == std::string::npos ? 0 : slash);
  if (is_open_to_all(*from->mount, above)) tell(object, text, from->mount->fs->getattr(path));
}

/// What is about to be opened.
void AnswerLane::learn_object(const Walked& place) {
  struct stat st {};
  if (!is_usable(place, place.found.host) || lstat(place.found.host.c_str(), &st) < 0) return;
  const Object object(st.st_dev, st.st_ino);
  if (S_ISDIR(st.st_mode) && add_directory(place, object) == nullptr) return;
  const size_t slash = place.path.rfind('/');
  const std::string above = place.path.substr(0, slash == std::string::npos ? 0 : slash);
  if (is_open_to_all(*place.mount, above)) tell(object, "", place.fs_mutable().getattr(place.path));
}

void AnswerLane::learn_list(const Walked& place) {
  struct stat st {};
  if (!is_usable(place, place.found.host) || lstat(place.found.host.c_str(), &st) < 0) return;
  const Object object(st.st_dev, st.st_ino);
  const auto known = directories_.find(object);
  Directory* from = known == directories_.end() ? add_directory(place, object) : &known->second;
  if (from == nullptr || from->listed) return;
  from->listed = true;
  const Result<std::vector<DirEntry>> entries = place.fs_mutable().list(place.path);
  if (!entries.ok() || entries->size() > kMostNames) return;
  const bool has_mounts = session_->view->node_at(place.view_path) != nullptr;
  for (const DirEntry& entry : *entries) {
    const std::string& name = entry.name;
    if (!AnswerWriter::fits(name) || table_->answers().has(object.first, object.second, name))
      continue;
    if (has_mounts &&
        session_->view->locate(join_path(place.view_path, name)).mount != place.mount) {
      continue;
    }
    const std::string path = place.path.empty() ? name : place.path + "/" + name;
    tell(object, name, place.fs_mutable().getattr(path));
  }
}

void AnswerLane::tell(const Object& object, const std::string& text, const Result<Attr>& attr) {
  const auto& [dev, ino] = object;
  if (attr.ok()) {
    Attr shown = *attr;
    session_->show_owner(&shown);
    table_->answers().add(dev, ino, text, &shown);
  } else if (attr.error() == ENOENT && !text.empty()) {
    table_->answers().add(dev, ino, text, nullptr, ENOENT);
  }
}

}  // namespace viewsh

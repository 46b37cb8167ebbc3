#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh::viewfs {

/// A directory of the host as a file system, for tests: looked at component by component. Every
/// changing operation fails with EROFS and is counted, since a lower must never see one.
class PlainFs : public FileSystem {
 public:
  explicit PlainFs(std::string root) : root_(std::move(root)) {}
  int writes = 0;

  std::string_view type() const override { return "plain"; }
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller&) override {
    Found found;
    std::string path = base;
    size_t at = 0;
    struct stat st {};
    while (at < rest.size()) {
      if (lstat(host(path).c_str(), &st) < 0) return Errno::last();
      if (!S_ISDIR(st.st_mode)) return Errno(ENOTDIR);
      size_t end = rest.find('/', at);
      if (end == std::string_view::npos) end = rest.size();
      path += (path.empty() ? "" : "/") + std::string(rest.substr(at, end - at));
      const bool last = end == rest.size();
      found.consumed = end;
      if (lstat(host(path).c_str(), &st) < 0) {
        if (errno != ENOENT || !last) return Errno::last();
        found.kind = Found::Kind::kMissing;
        found.host = host(path);
        return found;
      }
      if (S_ISLNK(st.st_mode) && (!last || flags.follow_last)) {
        char text[PATH_MAX];
        const ssize_t n = readlink(host(path).c_str(), text, sizeof text);
        found.kind = Found::Kind::kLink;
        found.target.assign(text, n > 0 ? static_cast<size_t>(n) : 0);
        return found;
      }
      at = end + 1;
    }
    if (lstat(host(path).c_str(), &st) < 0) return Errno::last();
    found.exists = true;
    found.type = type_of_mode(st.st_mode);
    found.host = host(path);
    return found;
  }
  Result<Attr> getattr(const std::string& path) override {
    Attr attr{};
    if (statx(AT_FDCWD, host(path).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
              &attr) < 0) {
      return Errno::last();
    }
    return attr;
  }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    DIR* dir = opendir(host(path).c_str());
    if (dir == nullptr) return Errno::last();
    std::vector<DirEntry> out;
    while (const dirent* e = readdir(dir)) {
      const std::string name = e->d_name;
      if (name == "." || name == "..") continue;
      out.push_back({name, e->d_ino, static_cast<NodeType>(e->d_type)});
    }
    closedir(dir);
    return out;
  }
  std::optional<std::string> reverse(const std::string& path) override {
    if (path == root_) return std::string();
    if (path.rfind(root_ + "/", 0) != 0) return {};
    return path.substr(root_.size() + 1);
  }
  bool fix_attr(Attr*) override { return false; }
  Result<OpenPlan> plan_open(const std::string&, const OpenHow&, const Caller&) override {
    return refuse();
  }
  void opened(const std::string&, const OpenPlan&, bool) override {}
  Result<void> mkdir(const std::string&, mode_t, const Caller&) override { return refuse(); }
  Result<void> mknod(const std::string&, mode_t, dev_t, const Caller&) override { return refuse(); }
  Result<void> symlink(const std::string&, const std::string&, const Caller&) override {
    return refuse();
  }
  Result<void> link(const std::string&, const std::string&, const Caller&) override {
    return refuse();
  }
  Result<void> link_host(const std::string&, const std::string&, const Caller&) override {
    return refuse();
  }
  Result<void> unlink(const std::string&, const Caller&) override { return refuse(); }
  Result<void> rmdir(const std::string&, const Caller&) override { return refuse(); }
  Result<void> rename(const std::string&, const std::string&, unsigned, const Caller&) override {
    return refuse();
  }
  Result<void> setattr(const std::string&, const SetAttr&, const Caller&) override {
    return refuse();
  }
  Result<void> setxattr(const std::string&, const std::string&, std::string_view, int,
                        const Caller&) override {
    return refuse();
  }
  Result<void> removexattr(const std::string&, const std::string&, const Caller&) override {
    return refuse();
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    return std::shared_ptr<FileSystem>(std::make_shared<PlainFs>(host(path)));
  }
  Result<std::string> watch(const std::string& path, const Caller&) override { return host(path); }

 private:
  std::string host(const std::string& path) const {
    return path.empty() ? root_ : root_ + "/" + path;
  }
  Errno refuse() {
    ++writes;
    return Errno(EROFS);
  }
  std::string root_;
};

}  // namespace viewsh::viewfs

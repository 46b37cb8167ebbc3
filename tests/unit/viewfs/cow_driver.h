#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cow.h"
#include "cow_fs.h"
#include "layer_store.h"
#include "plain_fs.h"

namespace viewsh::viewfs {

/// A directory of the test's own, gone with the object.
class TempDir {
 public:
  TempDir() {
    const char* base = getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/viewsh-cow-XXXXXX";
    path_ = mkdtemp(name.data()) != nullptr ? name : std::string();
  }
  ~TempDir() {
    if (path_.empty()) return;
    const std::string command = "chmod -R u+rwX " + path_ + "; rm -rf " + path_;
    if (system(command.c_str()) != 0) perror("rm");
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestHost : public Host {
 public:
  explicit TestHost(std::string dir) : dir_(std::move(dir)) {}
  Result<std::string> scratch_dir(const std::string& purpose, bool) override {
    const std::string path = dir_ + "/scratch-" + purpose + std::to_string(++count_);
    if (::mkdir(path.c_str(), 0700) < 0) return Errno::last();
    return path;
  }
  std::string state_dir() const override { return dir_ + "/state"; }
  std::string view_id() const override { return "view-7"; }

 private:
  std::string dir_;
  int count_ = 0;
};

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

/// Calls by path as a task would make them, each returning 0 or an errno. Native: on a directory of
/// the host. In a cow view: resolved, planned and opened as the engine does.
class Calls {
 public:
  virtual ~Calls() = default;
  virtual int write(const std::string& p, int flags, mode_t mode, const std::string& text) = 0;
  virtual int mkdir(const std::string& p, mode_t mode) = 0;
  virtual int mkfifo(const std::string& p) = 0;
  virtual int symlink(const std::string& p, const std::string& target) = 0;
  virtual int link(const std::string& a, const std::string& b) = 0;
  virtual int unlink(const std::string& p) = 0;
  virtual int rmdir(const std::string& p) = 0;
  virtual int rename(const std::string& a, const std::string& b, unsigned flags) = 0;
  virtual int chmod(const std::string& p, mode_t mode) = 0;
  virtual int truncate(const std::string& p, off_t size) = 0;
  virtual int utimens(const std::string& p, time_t t) = 0;
  virtual int setxattr(const std::string& p, const std::string& value) = 0;
  virtual int stat(const std::string& p, Attr* attr) = 0;
  virtual int list(const std::string& p, std::vector<DirEntry>* out) = 0;
  /// Host path of the content.
  virtual std::string host(const std::string& p) = 0;
};

inline int result_of(int rc) { return rc < 0 ? errno : 0; }

inline int native_list(const std::string& path, std::vector<DirEntry>* out) {
  auto entries = PlainFs(path).list("");
  if (!entries) return entries.error().value();
  *out = std::move(*entries);
  return 0;
}

inline int open_and_write(const std::string& path, int flags, mode_t mode,
                          const std::string& text) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return errno;
  int rc = 0;
  if (!text.empty() && ::write(fd, text.data(), text.size()) < 0) rc = errno;
  close(fd);
  return rc;
}

class NativeCalls final : public Calls {
 public:
  explicit NativeCalls(std::string root) : root_(std::move(root)) {}
  std::string host(const std::string& p) override { return p.empty() ? root_ : root_ + "/" + p; }
  int write(const std::string& p, int flags, mode_t mode, const std::string& text) override {
    return open_and_write(host(p), flags | O_NOFOLLOW, mode, text);
  }
  int mkdir(const std::string& p, mode_t mode) override {
    return result_of(::mkdir(host(p).c_str(), mode));
  }
  int mkfifo(const std::string& p) override { return result_of(::mkfifo(host(p).c_str(), 0644)); }
  int symlink(const std::string& p, const std::string& target) override {
    return result_of(::symlink(target.c_str(), host(p).c_str()));
  }
  int link(const std::string& a, const std::string& b) override {
    return result_of(::link(host(a).c_str(), host(b).c_str()));
  }
  int unlink(const std::string& p) override { return result_of(::unlink(host(p).c_str())); }
  int rmdir(const std::string& p) override { return result_of(::rmdir(host(p).c_str())); }
  int rename(const std::string& a, const std::string& b, unsigned flags) override {
    return result_of(renameat2(AT_FDCWD, host(a).c_str(), AT_FDCWD, host(b).c_str(), flags));
  }
  int chmod(const std::string& p, mode_t mode) override {
    struct stat st {};
    if (lstat(host(p).c_str(), &st) < 0) return errno;
    if (S_ISLNK(st.st_mode)) return EOPNOTSUPP;
    return result_of(::chmod(host(p).c_str(), mode));
  }
  int truncate(const std::string& p, off_t size) override {
    struct stat st {};
    if (lstat(host(p).c_str(), &st) < 0) return errno;
    if (S_ISLNK(st.st_mode)) return EINVAL;
    return result_of(::truncate(host(p).c_str(), size));
  }
  int utimens(const std::string& p, time_t t) override {
    const timespec times[2] = {{t, 0}, {t, 5}};
    return result_of(utimensat(AT_FDCWD, host(p).c_str(), times, AT_SYMLINK_NOFOLLOW));
  }
  int setxattr(const std::string& p, const std::string& value) override {
    return result_of(lsetxattr(host(p).c_str(), "user.test", value.data(), value.size(), 0));
  }
  int stat(const std::string& p, Attr* attr) override {
    return result_of(
        statx(AT_FDCWD, host(p).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, attr));
  }
  int list(const std::string& p, std::vector<DirEntry>* out) override {
    return native_list(host(p), out);
  }

 private:
  std::string root_;
};

class CowCalls final : public Calls {
 public:
  explicit CowCalls(std::shared_ptr<FileSystem> fs) : fs_(std::move(fs)) {
    groups_ = {getgid()};
    caller_ = {.uid = getuid(), .gid = getgid(), .groups = groups_, .umask = 022};
  }
  std::string host(const std::string& p) override {
    const auto found = find(p);
    return found ? found->host : std::string();
  }
  int write(const std::string& p, int flags, mode_t mode, const std::string& text) override {
    const auto found = find(p);
    if (!found) return found.error().value();
    auto plan = fs_->plan_open(p, {flags | O_NOFOLLOW, mode}, caller_);
    if (!plan) return plan.error().value();
    const int rc = open_and_write(plan->host, plan->flags, plan->mode, text);
    if (plan->notify) fs_->opened(p, *plan, rc == 0);
    return rc;
  }
  int mkdir(const std::string& p, mode_t mode) override {
    return then(p, [&] { return fs_->mkdir(p, mode, caller_); });
  }
  int mkfifo(const std::string& p) override {
    return then(p, [&] { return fs_->mknod(p, S_IFIFO | 0644, 0, caller_); });
  }
  int symlink(const std::string& p, const std::string& target) override {
    return then(p, [&] { return fs_->symlink(p, target, caller_); });
  }
  int link(const std::string& a, const std::string& b) override {
    return then(a, b, [&] { return fs_->link(a, b, caller_); });
  }
  int unlink(const std::string& p) override {
    return then(p, [&] { return fs_->unlink(p, caller_); });
  }
  int rmdir(const std::string& p) override {
    return then(p, [&] { return fs_->rmdir(p, caller_); });
  }
  int rename(const std::string& a, const std::string& b, unsigned flags) override {
    const auto from = find_dir(a);
    if (!from) return from.error().value();
    const auto to = find_dir(b);
    if (!to) return to.error().value();
    return fs_->rename(a, b, flags, caller_).error().value();
  }
  int chmod(const std::string& p, mode_t mode) override {
    SetAttr set;
    set.mode = mode;
    return then(p, [&] { return fs_->setattr(p, set, caller_); });
  }
  int truncate(const std::string& p, off_t size) override {
    SetAttr set;
    set.size = static_cast<uint64_t>(size);
    return then(p, [&] { return fs_->setattr(p, set, caller_); });
  }
  int utimens(const std::string& p, time_t t) override {
    SetAttr set;
    set.atime = timespec{t, 0};
    set.mtime = timespec{t, 5};
    return then(p, [&] { return fs_->setattr(p, set, caller_); });
  }
  int setxattr(const std::string& p, const std::string& value) override {
    return then(p, [&] { return fs_->setxattr(p, "user.test", value, 0, caller_); });
  }
  int stat(const std::string& p, Attr* attr) override {
    const auto found = find(p);
    if (!found) return found.error().value();
    if (found->kind == Found::Kind::kMissing) return ENOENT;
    if (!found->attr_virtual) {
      return result_of(
          statx(AT_FDCWD, found->host.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, attr));
    }
    auto answer = fs_->getattr(p);
    if (!answer) return answer.error().value();
    *attr = *answer;
    return 0;
  }
  int list(const std::string& p, std::vector<DirEntry>* out) override {
    const auto found = find(p);
    if (!found) return found.error().value();
    if (found->kind == Found::Kind::kMissing) return ENOENT;
    if (!found->list_virtual) return native_list(found->host, out);
    auto entries = fs_->list(p);
    if (!entries) return entries.error().value();
    *out = std::move(*entries);
    return 0;
  }
  FileSystem& fs() { return *fs_; }
  std::shared_ptr<FileSystem> shared() { return fs_; }
  const Caller& caller() const { return caller_; }

 private:
  /// The tests' links lead nowhere, so one on the way is ENOENT.
  Result<Found> find(const std::string& p, bool follow = false) {
    auto found = fs_->resolve("", p, {.follow_last = follow, .want_exists = true}, caller_);
    if (found && found->kind == Found::Kind::kLink) return Errno(ENOENT);
    return found;
  }
  Result<Found> find_dir(const std::string& p) {
    auto found = find(std::string(parent_of(p)), true);
    if (!found) return found.error();
    if (found->kind == Found::Kind::kMissing) return Errno(ENOENT);
    if (found->type != NodeType::kDirectory) return Errno(ENOTDIR);
    return found;
  }
  template <typename F>
  int then(const std::string& p, F call) {
    const auto found = find(p);
    return found ? call().error().value() : found.error().value();
  }
  template <typename F>
  int then(const std::string& a, const std::string& b, F call) {
    const auto found = find(a);
    if (found && found->kind == Found::Kind::kMissing) return ENOENT;
    return found ? then(b, call) : found.error().value();
  }

  std::shared_ptr<FileSystem> fs_;
  std::vector<gid_t> groups_;
  Caller caller_;
};

inline constexpr time_t kOld = 1000000000;

/// What a tree looks like, a line a node, without what can't be the same in two places.
inline void describe(Calls& calls, const std::string& dir, std::vector<std::string>* out,
                     std::map<uint64_t, std::string>* inodes) {
  std::vector<DirEntry> entries;
  const int rc = calls.list(dir, &entries);
  if (rc != 0) out->push_back(dir + " list: " + strerror(rc));
  std::sort(entries.begin(), entries.end(),
            [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  for (const DirEntry& entry : entries) {
    const std::string path = join(dir, entry.name);
    Attr attr{};
    const int error = calls.stat(path, &attr);
    std::ostringstream line;
    line << path << " err=" << error << std::oct << " mode=" << attr.stx_mode << std::dec
         << " nlink=" << attr.stx_nlink;
    line << " dtype=" << (entry.type == type_of_mode(attr.stx_mode));
    line << " dino=" << (entry.ino == attr.stx_ino);
    const auto first = inodes->emplace(attr.stx_ino, path).first->second;
    if (first != path) line << " same as " << first;
    const bool old = attr.stx_mtime.tv_sec < kOld + 1000;
    line << (old ? " mtime=" + std::to_string(attr.stx_mtime.tv_sec) : " touched");
    if (S_ISREG(attr.stx_mode)) {
      line << " size=" << attr.stx_size << " " << read_file(calls.host(path)).substr(0, 4000);
    }
    if (S_ISREG(attr.stx_mode) || S_ISDIR(attr.stx_mode)) {
      char value[256];
      const ssize_t n = lgetxattr(calls.host(path).c_str(), "user.test", value, sizeof value);
      if (n >= 0 && S_ISREG(attr.stx_mode)) {
        line << " xattr=" << std::string(value, static_cast<size_t>(n));
      }
    }
    if (S_ISLNK(attr.stx_mode)) {
      char text[256];
      const ssize_t n = readlink(calls.host(path).c_str(), text, sizeof text);
      line << " -> " << std::string(text, n > 0 ? static_cast<size_t>(n) : 0);
    }
    out->push_back(line.str());
    if (S_ISDIR(attr.stx_mode)) describe(calls, path, out, inodes);
  }
}

inline std::vector<std::string> describe(Calls& calls) {
  std::vector<std::string> out;
  std::map<uint64_t, std::string> inodes;
  describe(calls, "", &out, &inodes);
  return out;
}

inline void sh(const std::string& command) { ASSERT_EQ(system(command.c_str()), 0) << command; }

/// Everything about a tree that a write to it would change; not access times.
inline std::string fingerprint(const std::string& dir) {
  const std::string command = "cd " + dir +
                              " && find . -printf '%P %i %y %m %n %s %T@ %C@ %l\\n' | sort; "
                              "find . -type f -perm -400 -exec cat {} + | cksum";
  FILE* pipe = popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  pclose(pipe);
  return out;
}

/// A small tree with the kinds of nodes that matter.
inline void make_lower(const std::string& dir) {
  sh("mkdir -p " + dir + " && cd " + dir +
     " && mkdir -p a/b/c d/e f && echo one >a/1 && echo two >a/b/2 && echo three >a/b/c/3"
     " && echo four >d/e/4 && echo top >t && ln t d/hard && ln t a/hard && ln -s nowhere a/link"
     " && mkfifo d/fifo && mkdir d/empty && printf x >f/x && chmod 755 f/x && chmod 444 a/b/2"
     " && find . -exec touch -h -d @1000000000 {} +");
}

inline std::shared_ptr<FileSystem> cow_over(const std::string& lower, Host& host,
                                            const std::string& layer, MountError* error = nullptr) {
  MountRequest request;
  request.type = "cow";
  request.at = "/";
  request.layer = layer;
  request.below = std::make_shared<PlainFs>(lower);
  MountError ignored;
  auto fs = mount_cow(request, host, error != nullptr ? error : &ignored);
  if (fs == nullptr && error == nullptr) ADD_FAILURE() << ignored.text;
  return fs;
}

}  // namespace viewsh::viewfs

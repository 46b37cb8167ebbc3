#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "bind.h"
#include "host_ops.h"
#include "tmpfs.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// A Host whose scratch directories are below one temporary directory.
class FixtureHost final : public Host {
 public:
  FixtureHost() {
    const char* base = ::getenv("TMPDIR");
    root_ = std::string(base != nullptr ? base : "/tmp") + "/viewsh-viewfs-XXXXXX";
    if (::mkdtemp(root_.data()) == nullptr) root_.clear();
  }
  ~FixtureHost() override { (void)host_ops::remove_tree(root_); }
  FixtureHost(const FixtureHost&) = delete;
  FixtureHost& operator=(const FixtureHost&) = delete;
  Result<std::string> scratch_dir(const std::string& purpose, bool) override {
    std::string path = root_ + "/" + purpose + std::to_string(count_++);
    TRY(from_libc(::mkdir(path.c_str(), 0700)));
    return path;
  }
  std::string state_dir() const override { return root_ + "/state"; }
  std::string view_id() const override { return "test"; }
  size_t scratch_dirs() const {
    auto entries = host_ops::list_dir(root_);
    return entries ? entries->size() : 0;
  }

 private:
  std::string root_;
  int count_ = 0;
};

/// A tmpfs as the view below, to be filled through its host directory.
class TmpfsFixture : public testing::Test {
 protected:
  TmpfsFixture() {
    ::umask(0);  // as the engine
    below_ = tmpfs({{"mode", "755"}});
    dir_ = below_->resolve("", "", {}, me())->host;
  }

  static Caller me() { return host_ops::own_caller(); }
  std::shared_ptr<FileSystem> tmpfs(std::map<std::string, std::string> options) {
    MountRequest request;
    request.type = "tmpfs";
    request.options = std::move(options);
    return mount_tmpfs(request, host_, &error_);
  }
  MountRequest request(std::string type, std::vector<std::string> sources,
                       std::map<std::string, std::string> options = {}) {
    MountRequest out;
    out.type = std::move(type);
    out.at = "/at";
    out.sources = std::move(sources);
    out.options = std::move(options);
    out.below = below_;
    return out;
  }
  void dir(const std::string& path, mode_t mode = 0755) {
    ASSERT_EQ(::mkdir((dir_ + "/" + path).c_str(), mode), 0) << path;
  }
  void put(const std::string& path, const std::string& text) {
    std::ofstream(dir_ + "/" + path) << text;
    ::chmod((dir_ + "/" + path).c_str(), 0644);
  }
  static std::string cat(const std::string& host) {
    std::ifstream in(host);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  /// What open(2) and read(2) of a task would give; "!ERRNO" if refused.
  static std::string read(FileSystem& fs, const std::string& path) {
    Result<OpenPlan> plan = fs.plan_open(path, {O_RDONLY, 0, NodeType::kRegular}, me());
    return plan ? cat(plan->host) : "!" + std::to_string(plan.error().value());
  }
  /// What a task does to write a file; 0 or the errno.
  static int write(FileSystem& fs, const std::string& path, const std::string& text, int flags) {
    OpenHow how{flags, 0644, NodeType::kRegular};
    Result<OpenPlan> plan = fs.plan_open(path, how, me());
    if (!plan) return plan.error().value();
    int fd = ::open(plan->host.c_str(), plan->flags | O_CLOEXEC, plan->mode);
    int failed = fd < 0 ? errno : 0;
    if (fd >= 0 && ::write(fd, text.data(), text.size()) < 0) failed = errno;
    if (fd >= 0) ::close(fd);
    if (plan->notify) fs.opened(path, *plan, fd >= 0);
    return failed;
  }
  static std::vector<std::string> names(FileSystem& fs, const std::string& path) {
    std::vector<std::string> out;
    auto entries = fs.list(path);
    if (!entries) return {"!" + std::to_string(entries.error().value())};
    for (const DirEntry& entry : *entries) out.push_back(entry.name);
    std::sort(out.begin(), out.end());
    return out;
  }
  static Result<Found> find(FileSystem& fs, std::string_view path, bool follow = true) {
    return fs.resolve("", path, {.follow_last = follow, .want_exists = true}, me());
  }

  using Names = std::vector<std::string>;
  FixtureHost host_;
  MountError error_{};
  std::shared_ptr<FileSystem> below_;
  std::string dir_;  ///< host path of the root of below_
};

}  // namespace viewsh

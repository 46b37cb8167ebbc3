#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "viewsh/plugin.h"

namespace viewsh {

/// A Host with one temporary directory for everything.
class TempHost final : public Host {
 public:
  TempHost() {
    const char* base = ::getenv("TMPDIR");
    root_ = std::string(base != nullptr ? base : "/tmp") + "/viewsh-umdev-XXXXXX";
    if (::mkdtemp(root_.data()) == nullptr) root_.clear();
  }
  ~TempHost() override { ::rmdir(root_.c_str()); }
  TempHost(const TempHost&) = delete;
  TempHost& operator=(const TempHost&) = delete;
  Result<std::string> scratch_dir(const std::string&, bool) override { return root_; }
  std::string state_dir() const override { return root_; }
  std::string view_id() const override { return "test"; }
  /// True once everything that was put there has been removed.
  bool gone() const { return ::rmdir(root_.c_str()) == 0 || errno == ENOENT; }

 private:
  std::string root_;
};

}  // namespace viewsh

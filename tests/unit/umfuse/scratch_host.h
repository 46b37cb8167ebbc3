#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "viewsh/plugin.h"

namespace viewsh {

/// A Host whose scratch directories go with it.
class ScratchHost final : public Host {
 public:
  ScratchHost() {
    const char* base = getenv("TMPDIR");
    root_ = std::string(base != nullptr ? base : "/tmp") + "/viewsh-umfuse-XXXXXX";
    if (mkdtemp(root_.data()) == nullptr) root_.clear();
  }
  ~ScratchHost() override {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }
  ScratchHost(const ScratchHost&) = delete;
  ScratchHost& operator=(const ScratchHost&) = delete;
  Result<std::string> scratch_dir(const std::string& purpose, bool memory) override {
    const std::string dir = root_ + "/" + purpose + (memory ? "-memory" : "-disk");
    if (mkdir(dir.c_str(), 0700) < 0) return Errno::last();
    return dir;
  }
  std::string state_dir() const override { return root_; }
  std::string view_id() const override { return "test"; }

 private:
  std::string root_;
};

}  // namespace viewsh

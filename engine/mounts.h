#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin_host.h"
#include "syscalls/mounter.h"

namespace viewsh {

/// The file systems that a view's processes mount: made by plugins, ended by whoever takes them
/// away, at the latest with the view.
class Mounts final : public Mounter {
 public:
  /// `first_id`: above those of the mounts that the view begins with.
  Mounts(PluginHost* host, int first_id) : host_(host), next_id_(first_id) {}

  Result<std::shared_ptr<FileSystem>> make(const MountRequest& request) override;
  Result<std::shared_ptr<FileSystem>> bind(std::shared_ptr<FileSystem> fs, const std::string& path,
                                           bool read_only) override;
  void end(const std::shared_ptr<FileSystem>& fs) override;
  int next_id() override { return next_id_++; }
  const std::vector<Type>& types() override;

  /// One that the view began with, and that may be taken away.
  void adopt(std::shared_ptr<FileSystem> fs, std::string what) {
    made_.push_back({std::move(fs), std::move(what)});
  }

  /// The view ends: what is left ends, the newest first. False: something couldn't be written back,
  /// then or at an end() before, which was told.
  bool shut_down();

 private:
  PluginHost* host_;
  int next_id_;
  std::vector<Type> types_;
  struct Made {
    std::shared_ptr<FileSystem> fs;
    std::string what;
  };
  void end(const Made& made);
  std::vector<Made> made_;
  bool fine_ = true;
};

}  // namespace viewsh

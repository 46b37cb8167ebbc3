#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.h"
#include "parking.h"
#include "viewsh/plugin.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Finds plugins, loads those that a view needs, and is the Host that they see. Owns the plugins
/// and the view's private directories, which go when it is destroyed.
class PluginHost : public Host {
 public:
  PluginHost();
  ~PluginHost() override;
  PluginHost(const PluginHost&) = delete;
  PluginHost& operator=(const PluginHost&) = delete;

  Result<std::string> scratch_dir(const std::string& purpose, bool memory) override;
  std::string state_dir() const override;
  /// Something of this view is kept where layers are.
  bool keeps_on_disk() const { return !disk_dir_.empty(); }
  /// The view's own directory on a memory file system, made if need be.
  Result<std::string> memory_dir() { return root_dir(true); }
  std::string view_id() const override { return id_; }
  Suspension* suspension() override { return &parking_; }
  const Credentials* credentials() const override { return credentials_; }
  void set_credentials(const Credentials* credentials) { credentials_ = credentials; }
  Parking& parking() { return parking_; }

  /// The plugin that provides a word ("fs:cow", "device:ram", "layers"...), loaded on the way.
  /// Null: none.
  Plugin* provider(const std::string& word);
  /// Loads one plugin by name or file. Null: `error` says why.
  Plugin* load(const PluginSpec& spec, UserError* error);
  /// Every plugin file that is found, usable or not.
  static std::vector<PluginInfo> found();
  /// Removes directories of views whose engine is gone.
  static void sweep();

 private:
  struct Loaded {
    const PluginEntry* entry = nullptr;
    std::string path;
    std::unique_ptr<Plugin> plugin;
  };
  Loaded* open(const std::string& path, std::string* why);
  Result<std::string> root_dir(bool memory);

  std::string id_;
  Parking parking_;
  const Credentials* credentials_ = nullptr;  ///< a plugin's
  std::vector<std::unique_ptr<Loaded>> loaded_;
  std::string memory_dir_;
  std::string disk_dir_;
  std::vector<UniqueFd> locks_;
  int next_ = 0;
};

}  // namespace viewsh

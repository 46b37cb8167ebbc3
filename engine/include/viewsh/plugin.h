#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "viewsh/device.h"
#include "viewsh/exec_format.h"
#include "viewsh/filesystem.h"
#include "viewsh/identity.h"
#include "viewsh/layer.h"
#include "viewsh/suspension.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Raised with every change of include/viewsh that an older plugin cannot take.
inline constexpr uint32_t kPluginAbi = 10;

/// What a mount asks for: an item of the profile's `mounts`.
struct MountRequest {
  std::string type;                            ///< one of Plugin::fs_types()
  std::string at;                              ///< absolute canonical view path
  std::vector<std::string> sources;            ///< absolute paths of the view below
  std::map<std::string, std::string> options;  ///< "ro" -> "", "size" -> "64M"
  std::string layer;                           ///< cow: its name, empty for an ephemeral one
  std::vector<std::string>
      layers_below;  ///< cow: layers that it stands on, only read, the lowest first
  std::shared_ptr<FileSystem> below;  ///< the view as it was before this mount; its root is "/"
  /// Of the type fuse: our end of the connection to the server, which the file system takes.
  std::shared_ptr<UniqueFd> connection;
  bool look_only = false;  ///< nothing will run: named state is neither made, locked nor changed
};

/// What the engine gives to plugins. Lives longer than every plugin object.
class Host {
 public:
  virtual ~Host() = default;
  /// An existing private directory (mode 0700) that goes with the view. On a memory file system
  /// where there is one (`memory`), else where layers are.
  virtual Result<std::string> scratch_dir(const std::string& purpose, bool memory) = 0;
  /// Where named state is kept: $XDG_STATE_HOME/viewsh or ~/.local/state/viewsh. Not created.
  virtual std::string state_dir() const = 0;
  /// The id of this view, as `viewsh ps` shows it.
  virtual std::string view_id() const = 0;
  /// For file systems whose answers come from processes of the view. Null: nobody can wait here.
  virtual Suspension* suspension() { return nullptr; }
  /// Who the user is in the view. Null: who it is outside. Known before the first mount.
  virtual const Credentials* credentials() const { return nullptr; }
};

/// A failed mount: errno for the tracee, text for the user ("what: why").
struct MountError {
  Errno error;
  std::string text;
};

/// An instance of a plugin in one view. Destroyed after everything that it made.
class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::vector<std::string> fs_types() const { return {}; }
  /// Null: `error` is filled.
  virtual std::shared_ptr<FileSystem> mount(const MountRequest& request, MountError* error) {
    (void)request;
    *error = {Errno(ENODEV), "no such file system type"};
    return nullptr;
  }
  virtual std::vector<std::string> device_types() const { return {}; }
  virtual std::unique_ptr<Device> open_device(const DeviceRequest& request, MountError* error) {
    (void)request;
    *error = {Errno(ENODEV), "no such device type"};
    return nullptr;
  }
  /// Null if the plugin knows no executable formats.
  virtual ExecFormats* exec_formats() { return nullptr; }
  /// Null if the plugin keeps no layers. Owned by the plugin.
  virtual LayerStore* layer_store() { return nullptr; }
  /// Who the processes of the view are, asked once. Owned by the plugin. Null: `error` is filled.
  virtual Identity* identity(const IdentityRequest& request, MountError* error) {
    (void)request;
    *error = {Errno(ENODEV), "no identities"};
    return nullptr;
  }
};

/// What a plugin's entry returns. The struct only grows; a reader goes by `size`.
struct PluginEntry {
  uint32_t abi = kPluginAbi;
  uint32_t size = sizeof(PluginEntry);
  const char* build_tag = nullptr;  ///< VIEWSH_BUILD_TAG of its compilation
  const char* name = nullptr;
  const char* version = nullptr;
  const char* description = nullptr;
  const char* provides = nullptr;  ///< words: "fs:cow device:ram exec:extension identity layers"
  Plugin* (*create)(Host* host) = nullptr;
};

/// The C++ library ABI that objects cross the border with: g++ and clang builds mix, _GLIBCXX_DEBUG
/// or the old string ABI do not.
#if defined(_GLIBCXX_DEBUG)
#define VIEWSH_BUILD_TAG "libstdc++-debug"
#elif defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
#define VIEWSH_BUILD_TAG "libstdc++-cxx11"
#else
#define VIEWSH_BUILD_TAG "other"
#endif

/// The one symbol of a plugin: returns a pointer to a static PluginEntry.
#define VIEWSH_PLUGIN_SYMBOL "viewsh_plugin_entry"
#define VIEWSH_PLUGIN(entry)                                                     \
  extern "C" __attribute__((visibility("default"))) const ::viewsh::PluginEntry* \
  viewsh_plugin_entry() {                                                        \
    return &(entry);                                                             \
  }

}  // namespace viewsh

#include "viewsh/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include "mount_image.h"

namespace viewsh {
namespace {

/// The module beside the plugin. Null: `error` says why.
MountImage load_images(std::string* error) {
  using Entry = MountImage (*)();
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&load_images), &self) == 0) {
    *error = "images can't be read: where the plugin lies isn't known";
    return nullptr;
  }
  const std::string file = self.dli_fname;
  const std::string place = file.substr(0, file.rfind('/') + 1) + "umfuse/images.so";
  void* handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto entry =
      handle == nullptr ? nullptr : reinterpret_cast<Entry>(dlsym(handle, VIEWSH_IMAGES_SYMBOL));
  if (entry != nullptr) return entry();
  *error = std::string("images can't be read: ") + dlerror();
  return nullptr;
}

/// umfuse in one view: file systems that are in a file.
class UmfusePlugin final : public Plugin {
 public:
  explicit UmfusePlugin(Host* host) : host_(*host) {}

  std::vector<std::string> fs_types() const override {
    return {"auto", "ext2", "ext3", "ext4", "iso9660", "tar", "zip",
            "cpio", "7z",   "rar",  "ar",   "xar",     "fuse"};
  }

  std::shared_ptr<FileSystem> mount(const MountRequest& request, MountError* error) override {
    std::string why;
    const MountImage mount_image = load_images(&why);
    if (mount_image != nullptr) return mount_image(request, host_, error);
    *error = {Errno(ENODEV), why};
    return nullptr;
  }

 private:
  Host& host_;
};

constexpr PluginEntry make_entry() {
  PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "umfuse";
  entry.version = "0.1.0";
  entry.description =
      "Images and archives as file systems: ext2, ext3, ext4, ISO, tar, zip, cpio, 7z, rar, ar, "
      "xar";
  // In the order in which mount(8) tries them: what is an ext4 is one before it is an ext2, and
  // anything that begins with zeros might be an empty tar.
  entry.provides =
      "fs:auto fs:ext4 fs:ext3 fs:ext2 fs:iso9660 fs:zip fs:7z fs:rar fs:xar fs:ar fs:cpio fs:tar "
      "fs:fuse";
  entry.create = [](Host* host) -> Plugin* { return new UmfusePlugin(host); };
  return entry;
}

const PluginEntry kEntry = make_entry();

}  // namespace
}  // namespace viewsh

VIEWSH_PLUGIN(viewsh::kEntry)

#include "viewsh/plugin.h"

#include "bind.h"
#include "cow.h"
#include "hide.h"
#include "layer_store.h"
#include "merge.h"
#include "tmpfs.h"

namespace viewsh {
namespace {

/// viewfs in one view: file systems made of directories of the host and of the view below.
class ViewfsPlugin final : public Plugin {
 public:
  explicit ViewfsPlugin(Host* host) : host_(*host) {}

  std::vector<std::string> fs_types() const override {
    return {"bind", "cow", "mincow", "merge", "hide", "tmpfs"};
  }

  std::shared_ptr<FileSystem> mount(const MountRequest& request, MountError* error) override {
    if (request.type == "bind") return mount_bind(request, host_, error);
    if (request.type == "cow" || request.type == "mincow") return mount_cow(request, host_, error);
    if (request.type == "merge") return mount_merge(request, host_, error);
    if (request.type == "hide") return mount_hide(request, host_, error);
    if (request.type == "tmpfs") return mount_tmpfs(request, host_, error);
    *error = {Errno(ENODEV), request.type + ": no such file system type"};
    return nullptr;
  }

  LayerStore* layer_store() override {
    if (store_ == nullptr) store_ = make_layer_store(host_);
    return store_.get();
  }

 private:
  Host& host_;
  std::unique_ptr<LayerStore> store_;
};

constexpr PluginEntry make_entry() {
  PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "viewfs";
  entry.version = "0.1.0";
  entry.description = "Patchworks of directories: bind, copy-on-write, merge, hide, tmpfs";
  entry.provides = "fs:bind fs:cow fs:mincow fs:merge fs:hide fs:tmpfs layers";
  entry.create = [](Host* host) -> Plugin* { return new ViewfsPlugin(host); };
  return entry;
}

const PluginEntry kEntry = make_entry();

}  // namespace
}  // namespace viewsh

VIEWSH_PLUGIN(viewsh::kEntry)

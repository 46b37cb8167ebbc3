#include "mounts.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "base/check.h"
#include "vfs/view_fs.h"

namespace viewsh {

namespace {

/// What a view is patched together from isn't a file system of its own, and `auto` is no type.
bool is_for_profiles(const std::string& type) {
  static const std::set<std::string> kTypes{"bind", "cow", "mincow", "merge", "hide", "auto"};
  return kTypes.contains(type);
}

}  // namespace

const std::vector<Mounter::Type>& Mounts::types() {
  if (!types_.empty()) return types_;
  for (const PluginInfo& plugin : PluginHost::found()) {
    std::istringstream words(plugin.error.empty() ? plugin.provides : "");
    for (std::string word; words >> word;) {
      if (!word.starts_with("fs:") || is_for_profiles(word.substr(3))) continue;
      types_.push_back({word.substr(3), word == "fs:tmpfs" || word == "fs:fuse"});
    }
  }
  return types_;
}

Result<std::shared_ptr<FileSystem>> Mounts::make(const MountRequest& request) {
  Plugin* plugin = is_for_profiles(request.type) ? nullptr : host_->provider("fs:" + request.type);
  if (plugin == nullptr) return Errno(ENODEV);
  MountError failed;
  std::shared_ptr<FileSystem> fs = plugin->mount(request, &failed);
  if (fs == nullptr) return failed.error == 0 ? Errno(EINVAL) : failed.error;
  made_.push_back({fs, request.type + " at " + request.at});
  return fs;
}

Result<std::shared_ptr<FileSystem>> Mounts::bind(std::shared_ptr<FileSystem> fs,
                                                 const std::string& path, bool read_only) {
  Plugin* plugin = host_->provider("fs:bind");
  if (plugin == nullptr) return Errno(ENODEV);
  auto root = std::make_shared<Mount>();
  root->at = "/";
  root->fs = std::move(fs);
  MountRequest request;
  request.type = "bind";
  request.sources = {"/" + path};
  request.below = std::make_shared<ViewFs>(std::make_shared<View>(std::move(root)), "/");
  if (read_only) request.options["ro"] = "";
  MountError failed;
  std::shared_ptr<FileSystem> made = plugin->mount(request, &failed);
  if (made == nullptr) return failed.error == 0 ? Errno(EINVAL) : failed.error;
  return made;
}

void Mounts::end(const Made& made) {
  const Result<void> done = made.fs->shutdown();
  if (done.ok()) return;
  complain(made.what + ": " + done.error().message());
  fine_ = false;
}

void Mounts::end(const std::shared_ptr<FileSystem>& fs) {
  const auto it =
      std::find_if(made_.begin(), made_.end(), [&](const Made& made) { return made.fs == fs; });
  CHECK(it != made_.end(), "a file system that wasn't made here");
  const Made ended = std::move(*it);
  made_.erase(it);
  end(ended);
}

bool Mounts::shut_down() {
  while (!made_.empty()) {
    const Made ended = std::move(made_.back());
    made_.pop_back();
    end(ended);
  }
  return fine_;
}

}  // namespace viewsh

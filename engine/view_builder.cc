#include "view_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/path.h"
#include "builder.h"
#include "syscalls/fuse_device.h"
#include "syscalls/loop.h"
#include "syscalls/table.h"
#include "vfs/device_fs.h"
#include "vfs/host_mounts.h"
#include "vfs/view_fs.h"

namespace viewsh {

namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ":") + part;
  return out;
}

/// File systems that are the kernel's own words: writing to a copy of them would tell nobody.
bool is_kernel_type(const std::string& type) {
  static const std::set<std::string> kTypes{"proc",       "sysfs",     "devpts",   "cgroup",
                                            "cgroup2",    "mqueue",    "debugfs",  "tracefs",
                                            "securityfs", "bpf",       "configfs", "efivarfs",
                                            "pstore",     "selinuxfs", "fusectl",  "binfmt_misc"};
  return kTypes.contains(type);
}

/// The type of a file system that is the kernel's own words, where `host` lies on one.
std::string kernel_type_at(const std::string& host) {
  std::string type;
  size_t deepest = 0;  // of two at one place, the later one covers the other
  for (const HostMount& mount : read_host_mounts()) {
    if (mount.at.size() < deepest || !is_at_or_below(host, mount.at)) continue;
    deepest = mount.at.size();
    type = mount.type;
  }
  return is_kernel_type(type) ? type : "";
}

/// Copies of the host's tree, with parts of it left as they are: nobody learns more by looking past
/// that.
bool shows_host(const View& view) {
  const auto& mounts = view.mounts();
  return is_copy_on_write(view.root()->mount->type) &&
         std::all_of(mounts.begin(), mounts.end(), [](const auto& mount) {
           const bool same = mount->type == "bind" && mount->source == mount->at;
           return mount->internal || same || is_copy_on_write(mount->type);
         });
}

/// As /proc/mounts shows them.
std::string option_text(const MountSpec& spec) {
  std::string out;
  for (const auto& [key, value] : spec.options) {
    if (is_mounting_option(key)) continue;
    out += (out.empty() ? "" : ",") + key + (value.empty() ? "" : "=" + value);
  }
  for (const ExceptSpec& except : spec.except) {
    out += (out.empty() ? "except=" : ",except=") + except.path;
  }
  return out;
}

}  // namespace

UserError Builder::add_root() {
  auto root = std::make_shared<Mount>();
  root->at = "/";
  root->fs = std::make_shared<HostFs>("/", out_->cache);
  root->type = "host";
  root->id = next_id_++;
  view_ = std::make_shared<View>(root);
  if (spec_.root == "/" || spec_.root.empty()) return {};
  struct stat st {};
  char real[PATH_MAX];
  if (realpath(spec_.root.c_str(), real) == nullptr || stat(real, &st) < 0) {
    return wrong(spec_.root_place, "root " + spec_.root, Errno::last().message());
  }
  if (!S_ISDIR(st.st_mode)) return wrong(spec_.root_place, "root " + spec_.root, "not a directory");
  auto other = std::make_shared<Mount>();
  other->at = "/";
  other->fs = std::make_shared<HostFs>(real, out_->cache);
  other->type = "bind";
  other->source = real;
  other->id = next_id_++;
  host_view_ = view_;
  view_ = std::make_shared<View>(other);
  return add_kernel_dirs(spec_.root_place);
}

/// What can be asked for, but would do nothing.
UserError Builder::check_target(const MountSpec& spec, const Target& target) {
  bool copies = is_copy_on_write(spec.type);
  bool needed = copies || (spec.type == "hide" && spec.must_exist);
  if (needed && !target.exists) return wrong(spec.place, spec.at, Errno(ENOENT).message());
  if (!copies) return {};
  if (!target.directory) return wrong(spec.place, spec.at, Errno(ENOTDIR).message());
  std::string type = kernel_type_at(target.host);
  if (type.empty()) return {};
  return wrong(
      spec.place, spec.at,
      "can't be copied on write: " + type + " is the kernel's own, and always the real one");
}

/// A symbolic link of the view: not a mount, but a name in a directory that is the view's alone.
UserError Builder::add_symlink(const MountSpec& spec) {
  Target dir;
  std::string name(base_name(spec.at));
  if (spec.sources.size() != 1)
    return wrong(spec.place, spec.at, "where does the symbolic link lead to?");
  if (name.empty() || name == "/") return wrong(spec.place, spec.at, Errno(EEXIST).message());
  if (UserError error = canonical(parent_path(spec.at), spec.place, false, &dir)) return error;
  if (!dir.exists) {
    Result<void> made = scaffold(dir.at, true);
    if (!made.ok()) return wrong(spec.place, spec.at, made.error().message());
  }
  Result<Walked> walked = walk(*view_, {}, dir.at, {}, self(), nullptr);
  if (!walked.ok()) return wrong(spec.place, spec.at, walked.error().message());
  if (!is_own(*walked->mount)) {
    return wrong(spec.place, spec.at, "a symbolic link has to lie in a tmpfs of the view");
  }
  Result<void> made =
      walked->fs_mutable().symlink(join_path(walked->path, name), spec.sources[0], self());
  out_->cache->clear();
  return made.ok() ? UserError{} : wrong(spec.place, spec.at, made.error().message());
}

/// What a copy-on-write mount at `at` is to leave as it is, looked for before it is there.
UserError Builder::find_real(const MountSpec& spec, const std::string& at,
                             const std::shared_ptr<FileSystem>& below, std::vector<Mount>* real) {
  for (const ExceptSpec& except : spec.except) {
    const Place place{except.place.text + ": except"};
    Target target;
    if (UserError error = canonical(except.path, place, true, &target)) return error;
    if (target.at == at || !is_at_or_below(target.at, at)) {
      return wrong(place, except.path, "leads to " + target.at + ", which is not below " + at);
    }
    Result<std::shared_ptr<FileSystem>> fs = below->subtree(target.at.substr(1));
    if (!fs.ok()) return wrong(place, except.path, fs.error().message());
    Mount mount;
    mount.at = target.at;
    mount.fs = std::move(*fs);
    mount.type = "bind";
    mount.source = target.at;
    real->push_back(std::move(mount));
  }
  return {};
}

UserError Builder::put_back(std::vector<Mount> real, const MountSpec& spec) {
  for (Mount& mount : real) {
    Result<Attr> root = mount.fs->getattr("");
    bool directory = root.ok() && S_ISDIR(root->stx_mode);
    Target target{mount.at, true, directory};
    if (UserError error = install(target, std::move(mount), spec.place)) return error;
  }
  return {};
}

/// What the plugin is asked, and what is known of the mount before. Leaves `view_` as that in which
/// sources are looked for.
UserError Builder::ask_for(const MountSpec& spec, MountRequest* request, Mount* mount) {
  request->type = spec.type;
  request->options = own_options(spec);
  request->layer = spec.layer;
  request->layers_below = spec.layers_below;
  request->look_only = look_only_;
  // In a foreign root, what is bound in comes from the host; else from the view as it is so far.
  if (host_view_ && !spec.sources.empty()) view_ = host_view_;
  request->below = below();
  for (const std::string& source : spec.sources) {
    if (is_fuse_server(spec.type)) break;  // the server knows what it is
    Target found;
    if (UserError error = canonical(source, spec.place, true, &found)) return error;
    request->sources.push_back(found.at);
  }
  mount->source_in = held_by(request->sources);
  mount->late = mount->by_user = is_by_user(spec);
  return {};
}

UserError Builder::add_mount(const MountSpec& spec) {
  if (spec.type == "symlink") return add_symlink(spec);
  if (UserError error = allow_mounting(spec)) return error;
  if (is_for_later(spec)) return leave_for_later(spec);
  const bool served = is_fuse_server(spec.type);
  Plugin* plugin = host_->provider("fs:" + (served ? "fuse" : spec.type));
  if (plugin == nullptr) {
    return wrong(spec.place, spec.type, "no plugin for this type of mount");
  }
  Target target;
  if (UserError error = canonical(spec.at, spec.place, false, &target)) return error;
  if (UserError error = check_target(spec, target)) return error;
  MountRequest request;
  Mount mount;
  request.at = target.at;
  const std::shared_ptr<const View> present = view_;
  UserError unknown = ask_for(spec, &request, &mount);
  view_ = present;
  if (unknown) return unknown;
  MountError failed;
  if (served) {
    if (UserError error = start_server(spec, &request)) return error;
    if (look_only_) plugin = host_->provider("fs:tmpfs");
  }
  std::shared_ptr<FileSystem> fs = plugin->mount(request, &failed);
  if (!fs) return wrong(spec.place, spec.type + " at " + spec.at, failed.text);
  mount.fs = in_turns(std::move(fs), spec.type);
  // With auto, as with mount(8), it is the type that was found.
  mount.type = spec.type == "auto" ? std::string(mount.fs->type()) : spec.type;
  mount.source = spec.sources.empty() ? spec.type : joined(spec.sources);
  mount.layers = spec.layers_below;
  if (!spec.layer.empty()) mount.layers.push_back(spec.layer);
  mount.options = option_text(spec);
  if (served) {
    if (UserError error = meet_server(spec, &mount)) return error;
  }
  std::vector<Mount> real;
  if (UserError error = find_real(spec, target.at, request.below, &real)) return error;
  std::shared_ptr<const View> covered = view_;
  if (UserError error = install(target, std::move(mount), spec.place)) return error;
  if (target.at == "/") {
    if (UserError error = after_new_root(spec, covered)) return error;
  }
  if (!is_copy_on_write(spec.type)) return {};
  if (UserError error = pass_kernel_mounts(target.at, *covered)) return error;
  return put_back(std::move(real), spec);
}

UserError Builder::add_device(const DeviceSpec& spec) {
  Plugin* plugin = host_->provider("device:" + spec.request.type);
  if (plugin == nullptr) {
    return wrong(spec.place, spec.request.type, "no plugin for this type of device");
  }
  Target target;
  if (UserError error = canonical(spec.request.path, spec.place, false, &target)) return error;
  MountError failed;
  std::unique_ptr<Device> device = plugin->open_device(spec.request, &failed);
  if (!device) return wrong(spec.place, spec.request.path, failed.text);
  Mount mount;
  mount.fs = std::make_shared<DeviceFs>(std::move(device));
  mount.type = "device";
  mount.source = spec.request.type;
  return install(target, std::move(mount), spec.place);
}

/// mount(8) notes there how it mounted: the host's notes are about other mounts.
UserError Builder::add_mount_notes() {
  Plugin* plugin = host_->provider("fs:tmpfs");
  if (plugin == nullptr) return {"mounts: no plugin for tmpfs"};
  MountRequest request;
  request.type = "tmpfs";
  request.at = "/run/mount";
  request.options = {{"mode", "755"}};
  request.below = below();
  request.look_only = look_only_;
  MountError failed;
  Target target;
  Mount mount;
  mount.fs = plugin->mount(request, &failed);
  if (!mount.fs) return {failed.text};
  mount.type = "tmpfs";
  mount.internal = true;
  if (UserError error = canonical(request.at, {}, false, &target)) return error;
  return install(target, std::move(mount), {});
}

/// A device that every view has in which may be mounted.
UserError Builder::add_own_device(const std::string& path, const std::string& what,
                                  std::unique_ptr<Device> device) {
  Target target;
  Mount mount;
  mount.fs = std::make_shared<DeviceFs>(std::move(device));
  mount.type = "device";
  mount.source = what;
  mount.internal = true;
  if (UserError error = canonical(path, {}, false, &target)) return error;
  return install(target, std::move(mount), {});
}

UserError Builder::add_mount_devices() {
  // mount(8) asks there for a device to mount a file by.
  UserError error = add_own_device(loop_path(LoopDevice::kControl), "loop",
                                   std::make_unique<LoopDevice>(LoopDevice::kControl));
  if (error) return error;
  return add_own_device("/dev/fuse", "fuse", std::make_unique<FuseDevice>());
}

UserError Builder::add_binfmt(const BinfmtSpec& spec) {
  std::string word = spec.format.extension.empty() ? "exec:magic" : "exec:extension";
  Plugin* plugin = host_->provider(word);
  ExecFormats* formats = plugin == nullptr ? nullptr : plugin->exec_formats();
  if (formats == nullptr)
    return wrong(spec.place, "binfmt " + spec.format.name, "no plugin for it");
  std::string refused = formats->add(spec.format);
  if (!refused.empty()) return wrong(spec.place, "binfmt " + spec.format.name, refused);
  if (out_->exec_formats.empty() || out_->exec_formats.back() != formats) {
    out_->exec_formats.push_back(formats);
  }
  return {};
}

/// Before the mounts, which ask who their user is.
UserError Builder::add_identity() {
  if (!spec_.identity) return {};
  const Place& place = spec_.identity->place;
  Plugin* plugin = host_->provider("identity");
  if (plugin == nullptr) return wrong(place, "identity", "no plugin for it");
  MountError failed;
  out_->identity = plugin->identity(spec_.identity->request, &failed);
  if (out_->identity == nullptr) return wrong(place, "identity", failed.text);
  host_->set_credentials(&out_->identity->credentials());
  // Whatever is looked at may be the user's.
  for (const Trap trap : {Trap::kPaths, Trap::kObjects, Trap::kIdentity})
    out_->traps |= static_cast<unsigned>(trap);
  return {};
}

UserError Builder::add_plugin(const PluginSpec& spec) {
  UserError error;
  host_->load(spec, &error);
  return error;
}

/// A cow leaves the kernel's own file systems below it as they are.
UserError Builder::pass_kernel_mounts(const std::string& at, const View& below) {
  std::string covered;  // mountinfo lists parents first
  for (const HostMount& mount : read_host_mounts()) {
    if (!is_kernel_type(mount.type)) continue;
    std::optional<std::string> seen = below.reverse(mount.at);
    if (!seen || !is_at_or_below(*seen, at)) continue;
    if (!covered.empty() && is_at_or_below(*seen, covered)) continue;
    Location here = below.locate(*seen);
    Result<std::shared_ptr<FileSystem>> fs = here.mount->fs->subtree(here.path);
    if (!fs.ok()) continue;  // what can't be seen below can't be shown here either
    covered = *seen;
    Mount pass;
    pass.fs = *fs;
    pass.type = mount.type;
    pass.internal = true;
    Result<Attr> root = pass.fs->getattr("");
    bool directory = root.ok() && S_ISDIR(root->stx_mode);
    if (UserError error = install({*seen, true, directory}, std::move(pass), {})) return error;
  }
  return {};
}

/// Where copies are kept lies itself in what is copied: a view doesn't show it.
UserError Builder::hide_own_state() {
  std::vector<std::string> places{host_->state_dir() + "/views"};
  bool keeps = host_->keeps_on_disk();
  bool later = spec_.may_mount();
  for (const auto& mount : out_->made) {
    keeps = keeps || is_copy_on_write(mount->type);
    later = later || is_fuse_server(mount->type);
    for (const std::string& layer : mount->layers) {
      places.push_back(host_->state_dir() + "/layers/" + layer);
    }
  }
  if (later && !look_only_) {
    // What is mounted later, or is kept of what a server has, finds a place that isn't shown.
    for (const bool memory : {true, false}) {
      Result<std::string> made = host_->scratch_dir("mounts", memory);
      if (!made.ok()) return {"mounts: no private directory: " + made.error().message()};
    }
    keeps = true;
  }
  if (!keeps) places.clear();
  // It is in a directory that everybody looks at, such as /dev/shm.
  if (view_->mounts().size() > 1 || (spec_.may_mount() && !look_only_)) {
    Result<std::string> memory = host_->memory_dir();
    if (memory.ok()) places.push_back(*memory);
  }
  Plugin* plugin = host_->provider("fs:hide");
  if (plugin == nullptr) return {};
  for (const std::string& place : places) {
    std::optional<std::string> seen = view_->reverse(place);
    struct stat st {};
    if (!seen || lstat(place.c_str(), &st) < 0) continue;
    MountRequest request;
    request.type = "hide";
    request.at = *seen;
    request.below = below();
    MountError failed;
    Mount mount;
    mount.fs = plugin->mount(request, &failed);
    if (!mount.fs) return {failed.text};
    mount.type = "hide";
    mount.internal = true;
    if (UserError error = install({*seen, true, true}, std::move(mount), {})) return error;
  }
  return {};
}

UserError Builder::build() {
  out_->cache = std::make_shared<PathCache>();
  out_->cache->tick();
  for (const PluginSpec& plugin : spec_.plugins) {
    if (UserError error = add_plugin(plugin)) return error;
  }
  if (UserError error = add_identity()) return error;
  if (UserError error = add_root()) return error;
  for (const MountSpec& mount : spec_.mounts) {
    if (UserError error = add_mount(mount)) return error;
  }
  for (const DeviceSpec& device : spec_.devices) {
    if (UserError error = add_device(device)) return error;
  }
  for (const BinfmtSpec& format : spec_.binfmt) {
    if (UserError error = add_binfmt(format)) return error;
  }
  if (spec_.may_mount()) {
    if (UserError error = add_mount_notes()) return error;
    if (UserError error = add_mount_devices()) return error;
  }
  if (UserError error = hide_own_state()) return error;
  out_->view = view_;
  out_->next_id = next_id_;
  out_->shows_host = shows_host(*view_);
  find_traps();
  return {};
}

void Builder::find_traps() {
  Result<Walked> proc = walk(*view_, {}, "/proc", {}, self(), nullptr);
  out_->host_proc = proc.ok() && proc->found.host == "/proc";
  bool plain = view_->mounts().size() == 1 && view_->mounts()[0]->type == "host";
  if (!plain || !out_->exec_formats.empty()) out_->traps |= static_cast<unsigned>(Trap::kPaths);
  if (spec_.may_mount()) {
    // What is mounted later may need any of them.
    for (const Trap trap : {Trap::kPaths, Trap::kObjects, Trap::kQuota, Trap::kKept, Trap::kDevices,
                            Trap::kMeta, Trap::kWrites})
      out_->traps |= static_cast<unsigned>(trap);
  }
  // Those that are covered by now, too: a bind may show a part of them.
  for (const View::Entry& entry : view_->entries()) {
    const std::shared_ptr<const Mount>& mount = entry.mount;
    if (mount->type == "hide") continue;  // has no nodes
    bool own_nodes = !mount->fs->transparent() || mount->fs->read_only();
    if (own_nodes) out_->traps |= static_cast<unsigned>(Trap::kObjects);
    if (mount->fs->quota()) out_->traps |= static_cast<unsigned>(Trap::kQuota);
    if (mount->fs->keeps()) out_->traps |= static_cast<unsigned>(Trap::kKept);
    if (mount->fs->own_meta()) out_->traps |= static_cast<unsigned>(Trap::kMeta);
    // Compared is what is both written natively and kept elsewhere.
    if (mount->fs->quota() && mount->fs->keeps())
      out_->traps |= static_cast<unsigned>(Trap::kWrites);
    if (mount->type == "device") out_->traps |= static_cast<unsigned>(Trap::kDevices);
    if (mount->type == "tmpfs") out_->traps |= static_cast<unsigned>(Trap::kObjects);
  }
}

UserError build_view(const ViewSpec& spec, PluginHost* host, BuiltView* out, bool look_only) {
  return Builder(spec, host, out, look_only).build();
}

bool shut_down(BuiltView& built, const std::function<void(const std::string&)>& tell) {
  bool fine = true;
  for (auto it = built.made.rbegin(); it != built.made.rend(); ++it) {
    Result<void> done = (*it)->own_fs()->shutdown();
    if (done.ok()) continue;
    tell((*it)->type + " at " + (*it)->at + ": " + done.error().message());
    fine = false;
  }
  while (!built.servers.empty()) built.servers.pop_back();
  return fine;
}

}  // namespace viewsh

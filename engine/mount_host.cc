#include "mount_host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/path.h"
#include "outside/served_tree.h"
#include "outside/view_tree.h"
#include "own_limits.h"
#include "plugin_host.h"
#include "vfs/view_fs.h"
#include "view_builder.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

UserError wrong(const std::string& what, const std::string& why) {
  return {"mount-host: " + what + ": " + why};
}

/// What is there would be covered, and whoever looks for it wouldn't know why it is gone.
UserError check_dir(const std::string& dir, std::string* real) {
  char path[PATH_MAX];
  if (realpath(dir.c_str(), path) == nullptr) return wrong(dir, Errno::last().message());
  *real = path;
  DIR* list = opendir(path);
  if (list == nullptr) return wrong(dir, Errno::last().message());
  int names = 0;
  while (names < 3 && readdir(list) != nullptr) ++names;
  closedir(list);
  if (names > 2) return wrong(dir, Errno(ENOTEMPTY).message());
  // fusermount3 asks for it, and has less to say about it.
  if (access(path, W_OK) < 0) return wrong(dir, Errno::last().message());
  return {};
}

/// Is there a FUSE of the kernel's that this user may use?
UserError check_device() {
  const UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  return device ? UserError{} : wrong("/dev/fuse", Errno::last().message());
}

const TreeServerEntry* load_server(UserError* error) {
  char self[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  const std::string own(self, static_cast<size_t>(n < 0 ? 0 : n));
  const std::string beside =
      lexically_normal(parent_path(own) + "/../libexec/viewsh/host-mount.so");
  for (const std::string& path : {beside, std::string(VIEWSH_HOST_MOUNT)}) {
    if (access(path.c_str(), F_OK) < 0) continue;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      *error = wrong(path, dlerror());
      return nullptr;
    }
    using Entry = const TreeServerEntry* (*)();
    const auto symbol = reinterpret_cast<Entry>(dlsym(handle, VIEWSH_TREE_SERVER_SYMBOL));
    const TreeServerEntry* entry = symbol == nullptr ? nullptr : symbol();
    if (entry != nullptr && entry->version == kTreeServerVersion) return entry;
    *error = wrong(path, "belongs to another version of viewsh");
    return nullptr;
  }
  *error = {"mount-host: this viewsh was built without libfuse3"};
  return nullptr;
}

/// What of a view concerns its processes alone: there are none.
ViewSpec files_of(const ViewSpec& spec) {
  ViewSpec out = spec;
  std::string left;
  const auto leave = [&](bool has, const char* what) {
    if (has) left += (left.empty() ? "" : ", ") + std::string(what);
  };
  leave(!spec.devices.empty(), "devices");
  leave(!spec.binfmt.empty(), "binfmt");
  leave(spec.allow_mount, "allow");
  leave(std::erase_if(out.mounts, is_for_later) > 0, "noauto");
  out.devices.clear();
  out.binfmt.clear();
  out.allow_mount = false;
  for (MountSpec& mount : out.mounts)
    std::erase_if(mount.options,
                  [](const auto& option) { return is_mounting_option(option.first); });
  if (!left.empty())
    complain("mount-host: left out, as only processes of a view have them: " + left);
  return out;
}

/// The directory where the view is shown isn't shown in it: who looked there would wait for itself.
UserError hide_dir(const std::string& dir, PluginHost& host, BuiltView* built) {
  Plugin* plugin = host.provider("fs:hide");
  if (plugin == nullptr) return {"mount-host: no plugin for mounts of type hide"};
  constexpr int kPlaces = 64;
  for (int i = 0; i < kPlaces; ++i) {
    const std::optional<std::string> seen = built->view->reverse(dir);
    if (!seen) return {};
    if (*seen == "/") return wrong(dir, "it is the root of the view");
    MountRequest request;
    request.type = "hide";
    request.at = *seen;
    request.below = std::make_shared<ViewFs>(built->view, "/");
    MountError failed;
    auto mount = std::make_shared<Mount>();
    mount->fs = plugin->mount(request, &failed);
    if (!mount->fs) return wrong(*seen, failed.text);
    mount->at = *seen;
    mount->type = "hide";
    mount->internal = true;
    mount->id = built->next_id++;
    built->view = built->view->with(
        mount, MountName{std::string(base_name(*seen)), true, NodeType::kDirectory});
  }
  return wrong(dir, "the view shows it at too many places");
}

/// Lets go of the terminal and the working directory, and tells whoever started this that the view
/// is there. Empty, or what keeps it from that, which standard error can still be told.
std::string go_to_background(UniqueFd* ready) {
  if (!*ready) return {};
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return "/dev/null: " + Errno::last().message();
  if (chdir("/") < 0) return "/: " + Errno::last().message();
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (dup2(null.get(), fd) < 0) return "/dev/null: " + Errno::last().message();
  }
  const char done = 1;
  (void)!write(ready->get(), &done, 1);  // nobody waits any more: fine
  ready->reset();
  return {};
}

int serve(const ViewSpec& spec, const HostMountRequest& mount, const std::string& dir,
          const TreeServerEntry& entry, UniqueFd ready) {
  const bool background = ready.valid();
  PluginHost::sweep();
  PluginHost host;
  BuiltView built;
  UserError error = build_view(spec, &host, &built);
  if (!error) error = hide_dir(dir, host, &built);
  bool fine = !error;
  if (fine) {
    umask(0);
    raise_descriptor_limit();
    ViewTree tree(built.view, built.cache);
    const std::unique_ptr<TreeServer> server = entry.make(tree);
    std::string problem = server->mount(dir, mount.source);
    if (problem.empty()) {
      problem = go_to_background(&ready);
      if (problem.empty()) problem = server->serve();
      server->unmount();
    }
    if (!problem.empty()) error = wrong(mount.dir, problem);
  }
  // In the background nobody reads what is written to standard error.
  if (background) openlog("viewsh", LOG_PID, LOG_USER);
  const auto tell = [&](const std::string& text) {
    if (background && !ready) {
      syslog(LOG_ERR, "%s", text.c_str());
    } else {
      complain(text);
    }
  };
  if (error) tell(error.text);
  fine = shut_down(built, tell) && !error;
  return fine ? 0 : 125;
}

/// Returns in the process that was called, when the other one serves or has given up.
int serve_in_background(const ViewSpec& spec, const HostMountRequest& mount, const std::string& dir,
                        const TreeServerEntry& entry) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    complain("mount-host: " + Errno::last().message());
    return 125;
  }
  UniqueFd ready(ends[0]);
  UniqueFd tell(ends[1]);
  const pid_t child = fork();
  if (child < 0) {
    complain("mount-host: " + Errno::last().message());
    return 125;
  }
  if (child == 0) {
    ready.reset();
    setsid();
    return serve(spec, mount, dir, entry, std::move(tell));
  }
  tell.reset();
  char done = 0;
  ssize_t n = 0;
  do {
    n = read(ready.get(), &done, 1);
  } while (n < 0 && errno == EINTR);
  if (n == 1) return 0;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 125;
}

}  // namespace

int mount_host(const ViewSpec& spec, const HostMountRequest& mount) {
  UserError error;
  std::string dir;
  const TreeServerEntry* entry = load_server(&error);
  if (!error) error = check_dir(mount.dir, &dir);
  if (!error) error = check_device();
  if (error) {
    complain(error.text);
    return error.exit_status;
  }
  const ViewSpec files = files_of(spec);
  if (mount.foreground) return serve(files, mount, dir, *entry, UniqueFd());
  return serve_in_background(files, mount, dir, *entry);
}

}  // namespace viewsh

#include "plugin_host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/path.h"

namespace viewsh {

namespace {

namespace stdfs = std::filesystem;

std::string environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::string executable_dir() {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n <= 0 ? "" : parent_path(std::string(path, static_cast<size_t>(n)));
}

std::vector<std::string> plugin_dirs() {
  std::vector<std::string> dirs;
  std::string listed = environment("VIEWSH_PLUGIN_PATH");
  for (size_t from = 0; from <= listed.size() && !listed.empty();) {
    size_t end = std::min(listed.find(':', from), listed.size());
    if (end > from) dirs.push_back(listed.substr(from, end - from));
    from = end + 1;
  }
  std::string beside = executable_dir() + "/../plugins";
  if (access(beside.c_str(), X_OK) == 0) dirs.push_back(lexically_normal(beside));
  dirs.emplace_back(VIEWSH_PLUGIN_DIR);
  return dirs;
}

std::vector<std::string> plugin_files() {
  std::vector<std::string> files;
  std::set<std::string> names;
  for (const std::string& dir : plugin_dirs()) {
    std::error_code error;
    std::vector<std::string> here;
    for (const auto& entry : stdfs::directory_iterator(dir, error)) {
      if (entry.path().extension() == ".so") here.push_back(entry.path().string());
    }
    std::sort(here.begin(), here.end());
    for (std::string& path : here) {
      if (names.insert(stdfs::path(path).filename().string()).second) files.push_back(path);
    }
  }
  return files;
}

/// Null: `why` is a sentence. The handle stays open: code of a plugin may be in use until the end.
const PluginEntry* read_entry(const std::string& path, std::string* why) {
  void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    *why = dlerror();
    return nullptr;
  }
  using Entry = const PluginEntry* (*)();
  auto symbol = reinterpret_cast<Entry>(dlsym(handle, VIEWSH_PLUGIN_SYMBOL));
  if (symbol == nullptr) {
    *why = "not a plugin of viewsh (no " VIEWSH_PLUGIN_SYMBOL ")";
    return nullptr;
  }
  const PluginEntry* entry = symbol();
  if (entry == nullptr || entry->abi != kPluginAbi) {
    *why = "made for plugin ABI " + (entry == nullptr ? "?" : std::to_string(entry->abi)) +
           ", this viewsh has " + std::to_string(kPluginAbi);
    return nullptr;
  }
  if (entry->size < sizeof(PluginEntry) || entry->create == nullptr || entry->name == nullptr) {
    *why = "its entry is too short or incomplete";
    return nullptr;
  }
  if (entry->build_tag == nullptr || std::string(entry->build_tag) != VIEWSH_BUILD_TAG) {
    *why = std::string("built for the C++ library ABI ") +
           (entry->build_tag == nullptr ? "?" : entry->build_tag) +
           ", this viewsh is " VIEWSH_BUILD_TAG;
    return nullptr;
  }
  return entry;
}

bool provides(const PluginEntry& entry, const std::string& word) {
  if (entry.provides == nullptr) return false;
  std::string words = std::string(" ") + entry.provides + " ";
  return words.find(" " + word + " ") != std::string::npos;
}

/// Removes a tree of ours, also where directories were made unreadable.
void remove_tree(const std::string& dir) {
  std::error_code error;
  stdfs::remove_all(dir, error);
  if (!error) return;
  for (auto it = stdfs::recursive_directory_iterator(dir, error);
       !error && it != stdfs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_directory(error) && !it->is_symlink(error)) chmod(it->path().c_str(), 0700);
  }
  stdfs::remove_all(dir, error);
}

/// The path without symbolic links, "." and "..", as far as it is there: views look at host paths
/// as the kernel tells them.
std::string real_path(const std::string& path) {
  std::error_code error;
  const stdfs::path real = stdfs::weakly_canonical(path, error);
  // What can't be looked at (ELOOP, EACCES) fails by its own name when it is used.
  return error ? lexically_normal(path) : lexically_normal(real.string());
}

/// The first that is in memory and may be written to, else the first that may be.
std::string memory_root() {
  std::string on_disk;
  for (const std::string& dir : {environment("XDG_RUNTIME_DIR"), std::string("/dev/shm"),
                                 environment("TMPDIR"), std::string("/tmp")}) {
    if (dir.empty() || dir[0] != '/' || access(dir.c_str(), W_OK | X_OK) != 0) continue;
    struct statfs where;
    if (statfs(dir.c_str(), &where) == 0 &&
        (where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC)) {
      return real_path(dir);
    }
    if (on_disk.empty()) on_disk = dir;
  }
  return real_path(on_disk.empty() ? "/tmp" : on_disk);
}

std::string state_root() {
  std::string base = environment("XDG_STATE_HOME");
  if (base.empty() || base[0] != '/') {
    std::string home = environment("HOME");
    base = (home.empty() ? "/nonexistent" : home) + "/.local/state";
  }
  return real_path(base + "/viewsh");
}

std::string view_prefix() { return "viewsh-" + std::to_string(getuid()) + "-"; }

}  // namespace

PluginHost::PluginHost() { id_ = std::to_string(getpid()); }

PluginHost::~PluginHost() {
  while (!loaded_.empty()) loaded_.pop_back();
  for (const std::string& dir : {memory_dir_, disk_dir_}) {
    if (!dir.empty()) remove_tree(dir);
  }
  // The last view out takes the folder along; others keep it busy.
  if (!disk_dir_.empty()) (void)rmdir(parent_path(disk_dir_).c_str());
}

std::string PluginHost::state_dir() const { return state_root(); }

namespace {

/// What is made and removed by the thousand in one directory after the other is better off in
/// different places of the disk: ext4 looks for a number that wasn't freed in the last minute, one
/// after the other. Elsewhere the flag is refused, and changes nothing.
void spread_below(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  unsigned flags = 0;
  if (!fd || ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) < 0 || (flags & FS_TOPDIR_FL) != 0) return;
  flags |= FS_TOPDIR_FL;
  (void)ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
}

/// A new directory below the folder of views, which another view that ends may just have removed.
Result<std::string> make_below(const std::string& parent, bool memory, const std::string& prefix) {
  constexpr int kAttempts = 50;
  for (int i = 0;; ++i) {
    if (!memory) {
      std::error_code error;
      stdfs::create_directories(parent, error);
      if (error) return Errno(error.value());
      stdfs::permissions(state_root(), stdfs::perms::owner_all, error);
      spread_below(parent);
    }
    std::string name = parent + "/" + prefix + "XXXXXX";
    if (mkdtemp(name.data()) != nullptr) return name;
    if (errno != ENOENT || i == kAttempts) return Errno::last();
  }
}

}  // namespace

Result<std::string> PluginHost::root_dir(bool memory) {
  std::string& kept = memory ? memory_dir_ : disk_dir_;
  if (!kept.empty()) return kept;
  std::string parent = memory ? memory_root() : state_root() + "/views";
  // Under its final name it is locked from the first moment: a sweep takes what it can lock.
  constexpr std::string_view kNew = ".new-";
  TRY_ASSIGN(std::string name,
             make_below(parent, memory, std::string(kNew) + view_prefix() + id_ + "-"));
  UniqueFd lock(::open((name + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || flock(lock.get(), LOCK_EX | LOCK_NB) < 0) return Errno::last();
  std::string final_name = join_path(parent, base_name(name).substr(kNew.size()));
  if (::rename(name.c_str(), final_name.c_str()) < 0) return Errno::last();
  locks_.push_back(std::move(lock));
  kept = final_name;
  return kept;
}

Result<std::string> PluginHost::scratch_dir(const std::string& purpose, bool memory) {
  TRY_ASSIGN(std::string root, root_dir(memory));
  std::string dir = root + "/" + purpose + std::to_string(next_++);
  if (mkdir(dir.c_str(), 0700) < 0) return Errno::last();
  return dir;
}

void PluginHost::sweep() {
  for (const std::string& parent : {memory_root(), state_root() + "/views"}) {
    std::error_code error;
    for (const auto& entry : stdfs::directory_iterator(parent, error)) {
      std::string path = entry.path().string();
      if (!entry.path().filename().string().starts_with(view_prefix())) continue;
      struct stat st {};
      if (lstat(path.c_str(), &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) continue;
      UniqueFd lock(::open((path + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
      if (!lock || flock(lock.get(), LOCK_EX | LOCK_NB) < 0) continue;
      remove_tree(path);
    }
  }
}

PluginHost::Loaded* PluginHost::open(const std::string& path, std::string* why) {
  for (const auto& known : loaded_) {
    if (known->path == path) return known.get();
  }
  const PluginEntry* entry = read_entry(path, why);
  if (entry == nullptr) return nullptr;
  auto loaded = std::make_unique<Loaded>();
  loaded->entry = entry;
  loaded->path = path;
  loaded_.push_back(std::move(loaded));
  return loaded_.back().get();
}

Plugin* PluginHost::provider(const std::string& word) {
  auto use = [this](Loaded& loaded) {
    if (!loaded.plugin) loaded.plugin.reset(loaded.entry->create(this));
    return loaded.plugin.get();
  };
  for (const auto& known : loaded_) {
    if (provides(*known->entry, word)) return use(*known);
  }
  std::string why;
  for (const std::string& path : plugin_files()) {
    Loaded* loaded = open(path, &why);
    if (loaded != nullptr && provides(*loaded->entry, word)) return use(*loaded);
  }
  return nullptr;
}

Plugin* PluginHost::load(const PluginSpec& spec, UserError* error) {
  std::string path = spec.path;
  for (const std::string& file : plugin_files()) {
    if (path.empty() && stdfs::path(file).stem().string() == spec.name) path = file;
  }
  std::string label = spec.path.empty() ? spec.name : spec.path;
  if (path.empty()) {
    error->text = spec.place.text + ": plugin " + label + ": not found";
    return nullptr;
  }
  std::string why;
  Loaded* loaded = open(path, &why);
  if (loaded == nullptr) {
    error->text = spec.place.text + ": plugin " + label + ": " + why;
    return nullptr;
  }
  if (!loaded->plugin) loaded->plugin.reset(loaded->entry->create(this));
  return loaded->plugin.get();
}

std::vector<PluginInfo> PluginHost::found() {
  std::vector<PluginInfo> out;
  for (const std::string& path : plugin_files()) {
    PluginInfo info;
    info.path = path;
    info.name = stdfs::path(path).stem().string();
    const PluginEntry* entry = read_entry(path, &info.error);
    if (entry != nullptr) {
      auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
      info.name = entry->name;
      info.version = text(entry->version);
      info.description = text(entry->description);
      info.provides = text(entry->provides);
      info.abi = entry->abi;
    }
    out.push_back(std::move(info));
  }
  return out;
}

}  // namespace viewsh

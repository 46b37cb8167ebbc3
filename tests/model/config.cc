#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "dump.h"
#include "generate.h"
#include "run.h"

namespace viewsh_model {
namespace {

std::string make_temp(const std::string& parent) {
  std::string name = parent + "/viewsh-model.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) die("mkdtemp " + name + ": " + std::strerror(errno));
  return name;
}

void make_dir(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0) die("mkdir " + path + ": " + std::strerror(errno));
}

/// Takes plain files away by a rule, so that two equal trees have different ones.
void thin_out(const std::string& dir, unsigned keep_not, unsigned depth) {
  DIR* list = opendir(dir.c_str());
  if (list == nullptr) die("opendir " + dir);
  while (const dirent* entry = readdir(list)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = dir + "/" + name;
    struct stat st {};
    if (lstat(path.c_str(), &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      thin_out(path, keep_not, depth + 1);
    } else if (st.st_nlink == 1 &&
               (static_cast<unsigned char>(name[0]) + name.size() + depth) % 3 == keep_not) {
      unlink(path.c_str());
    }
  }
  closedir(list);
}

/// The times that the removals changed are set again.
void set_times_again(Layout& layout, const std::string& root, uint32_t seed) {
  Script again;
  for (const Op& op : initial_tree(seed)) {
    if (op.verb == "utimens") again.push_back(op);
  }
  run_natively(layout, root, again);
}

/// As in mke2fs(8); `words` ends with the image.
std::string run_e2fs(Layout& layout, std::vector<std::string> words) {
  const std::string out = layout.fresh("e2fs");
  for (const char* dir : {"/sbin/", "/usr/sbin/"}) {
    if (access((dir + words[0]).c_str(), X_OK) != 0) continue;
    words[0].insert(0, dir);
    break;
  }
  words.push_back(layout.at("image"));
  const Finished done = run_program(words, out, out, 60);
  std::string text = done.ok() ? "" : done.text() + ": " + read_text(out);
  unlink(out.c_str());
  return text;
}

/// With a directory w, which is empty and the caller's.
void make_image(Layout& layout) {
  make_dir(layout.at("m"));
  const std::string tree = layout.fresh("tree");
  make_dir(tree);
  make_dir(tree + "/w");
  const std::string image = layout.at("image");
  constexpr off_t kBytes = 256 << 20;
  const int fd = open(image.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || ftruncate(fd, kBytes) != 0) die(image + ": " + std::strerror(errno));
  close(fd);
  const std::string owner = std::to_string(geteuid()) + ":" + std::to_string(getegid());
  const std::string fault = run_e2fs(
      layout, {"mkfs.ext4", "-q", "-F", "-b", "4096", "-d", tree, "-E", "root_owner=" + owner});
  remove_tree(tree);
  if (!fault.empty()) die("mkfs.ext4: " + fault);
}

}  // namespace

std::string image_faults(const Config& config, Layout& layout) {
  if (!config.image) return "";
  const std::string found = run_e2fs(layout, {"e2fsck", "-fn"});
  return found.empty() ? "" : "e2fsck found: " + found;
}

const std::vector<Config>& configs() {
  static const std::vector<Config> all = {
      {"cow", "copy-on-write over a real directory", false, true, true, false},
      {"root", "a copy-on-write root", false, true, true, false},
      {"scratch", "a copy-on-write root that ends with the view", false, false, false, false},
      {"memory", "copy-on-write over a directory of the host's tmpfs", false, true, true, true},
      {"over-merge", "copy-on-write over a merge", false, true, false, false, false, false, true},
      {"over-tmpfs", "copy-on-write over a tmpfs mount", true, false, false, true},
      {"over-cow", "copy-on-write over copy-on-write", false, true, false, false},
      {"layers", "copy-on-write over two layers that are only read", false, true, false, false},
      {"mincow", "a mincow where all may be written", false, false, false, false, true, true},
      {"merge", "a merge that may be written to", false, false, false, false, true, false, true},
      {"tmpfs", "a tmpfs mount", true, false, false, true, true},
      {"bind", "a bind mount", false, false, false, false, true},
      {"image", "an ext4 image", true, false, false, false, false, false, false, true},
      {.name = "fuse", .what = "a directory by a FUSE server", .served = true},
  };
  return all;
}

const Config& config_named(const std::string& name) {
  for (const Config& config : configs()) {
    if (config.name == name) return config;
  }
  die("there is no configuration " + name);
}

Layout::Layout(const Config& config) {
  const char* parent = getenv("TMPDIR");
  base_ = make_temp(parent != nullptr ? parent : "/tmp");
  if (config.memory) memory_ = make_temp("/dev/shm");
  work_ = (config.memory ? memory_ : base_) + "/w";
  setenv("XDG_STATE_HOME", at("state").c_str(), 1);
  // Read by describe() here, in the native worker and in that of the view. The kind of file system
  // under a tree decides what takes blocks; in memory it may be another than the view's.
  const auto set = [](const char* name, bool value) {
    if (value ? setenv(name, "1", 1) != 0 : unsetenv(name) != 0) die(std::string("setenv ") + name);
  };
  set("MODEL_NO_DIR_LINKS", config.merged);
  set("MODEL_NO_BLOCKS", config.memory || config.image || config.served);
  set("MODEL_OPEN_DIRS", config.by_path);
  set("MODEL_ALL_OPEN", config.through);
  set("MODEL_ANY_NAME", config.image || config.served);
  set("MODEL_NO_TMPFILE", config.served);
  set("MODEL_NO_LINKS", config.served);
  set("MIRROR_HARD_REMOVE", config.served);
  // Each name of a file is a node of its own to libfuse, with attributes that are believed a while.
  set("MIRROR_NO_CACHE", config.served);
  // fuse_mirror is built beside this program.
  const std::string places = own_path().substr(0, own_path().rfind('/') + 1) + ":";
  const char* now = getenv("PATH");
  const std::string path = now != nullptr ? now : "/usr/bin:/bin";
  if (config.served && !path.starts_with(places)) setenv("PATH", (places + path).c_str(), 1);
}

Layout::~Layout() {
  remove_tree(base_);
  if (!memory_.empty()) remove_tree(memory_);
}

std::vector<std::string> view_command(const Config& config, const Layout& layout, size_t phase) {
  std::vector<std::string> out = {viewsh_path(), "run"};
  const auto add = [&](std::initializer_list<std::string> words) {
    out.insert(out.end(), words.begin(), words.end());
  };
  const std::string& w = layout.work();
  const std::string& name = config.name;
  if (name == "cow" || name == "memory") add({"--cow", w, "--layer", "work"});
  if (name == "root") add({"--cow", "/", "--layer", "work"});
  if (name == "scratch") add({"--cow", "/"});
  if (name == "over-merge") {
    add({"--merge", layout.at("a") + ":" + layout.at("b") + ":" + w, "--cow", w, "--layer",
         "work"});
  }
  if (name == "over-tmpfs") add({"--tmpfs", w + ":mode=755", "--cow", w});
  if (name == "over-cow") {
    add({"--cow", w, "--layer", "below"});
    if (phase > 0) add({"--cow", w, "--layer", "work"});
  }
  if (name == "layers") {
    constexpr const char* kStack[] = {"first", "second", "work"};
    out.insert(out.end(), {"--cow", w});
    for (size_t i = 0; i <= phase && i < 3; ++i) add({"--layer", kStack[i]});
  }
  if (name == "mincow") add({"--mincow", w});
  if (name == "merge") add({"--merge", layout.at("a") + ":" + layout.at("b") + ":" + w + ":rw"});
  if (name == "tmpfs") add({"--tmpfs", w + ":mode=755"});
  if (name == "bind") add({"--bind", layout.at("a") + ":" + w});
  // Not its root: that has lost+found.
  if (name == "image")
    add({"--mount", "ext4:" + layout.at("image") + ":" + layout.at("m"), "--bind",
         layout.at("m/w") + ":" + w});
  // What is removed while it is open doesn't stay as .fuse_hidden*: MIRROR_HARD_REMOVE.
  if (config.served) {
    add({"--mount", "fuse.fuse_mirror:" + layout.at("a") + ":" + w + ":default_permissions"});
  }
  add({"--"});
  return out;
}

void prepare(const Config& config, Layout& layout, uint32_t seed) {
  std::vector<std::string> sources;
  if (config.name == "over-merge") sources = {layout.at("a"), layout.at("b")};
  if (config.name == "merge" || config.name == "bind" || config.served) sources = {layout.at("a")};
  for (const std::string& source : sources) {
    // Made where the view shows it: absolute links in it have to lead there.
    make_dir(layout.work());
    make_tree(layout, layout.work(), seed);
    if (config.name == "over-merge") {
      thin_out(layout.work(), source == sources[0] ? 0 : 1, 0);
      set_times_again(layout, layout.work(), seed);
    }
    if (rename(layout.work().c_str(), source.c_str()) != 0) die("rename to " + source);
  }
  make_dir(layout.work());
  if (config.name == "merge") make_dir(layout.at("b"));
  if (config.image) make_image(layout);
  if (sources.empty() && !config.empty) make_tree(layout, layout.work(), seed);
}

void clear(const Config&, const Layout& layout) {
  for (const std::string& dir :
       {layout.work(), layout.at("a"), layout.at("b"), layout.at("m"), layout.at("state")}) {
    remove_tree(dir);
  }
}

std::string lower_state(const Config& config, const Layout& layout) {
  const DumpHow exact = {.exact = true, .unlock = false};
  if (config.name == "over-merge") {
    return dump(layout.at("a"), exact) + dump(layout.at("b"), exact) + dump(layout.work(), exact);
  }
  return dump(layout.work(), exact);
}

std::string result_dir(const Config& config, const Layout& layout) {
  if (config.name == "merge" || config.name == "bind" || config.served) return layout.at("a");
  return config.commit || config.through ? layout.work() : "";
}

std::string run_natively(Layout& layout, const std::string& root, const Script& script) {
  const std::string out = layout.fresh("native-out");
  const std::string err = layout.fresh("native-err");
  for (const Script& phase : phases(script)) {
    const std::string file = layout.fresh("script");
    write_text(file, format(phase));
    const Finished done = run_program({own_path(), "--worker", root, file}, out, err, 300);
    if (!done.ok()) die("natively: " + done.text() + ": " + read_text(err));
    unlink(file.c_str());
  }
  const std::string text = read_text(out);
  unlink(out.c_str());
  unlink(err.c_str());
  return text;
}

void make_tree(Layout& layout, const std::string& root, uint32_t seed) {
  Script tree = initial_tree(seed);
  // MODEL_NO_LINKS: a file has one name.
  if (getenv("MODEL_NO_LINKS") != nullptr) {
    std::erase_if(tree, [](const Op& op) { return op.verb == "link"; });
  }
  const std::string out = run_natively(layout, root, tree);
  if (out.find("ENOTSUP") != std::string::npos) die("no user xattrs on the file system of " + root);
}

}  // namespace viewsh_model

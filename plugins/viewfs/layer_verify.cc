#include "layer_verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <set>

#include "commit.h"
#include "cow_host.h"
#include "layer_recover.h"
#include "layer_restore.h"
#include "layer_salvage.h"
#include "layer_shared.h"

namespace viewsh::viewfs {
namespace {

UniqueFd open_dir(int at, const std::string& name) {
  return UniqueFd(openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

std::vector<std::string> names_in(int at, const std::string& name) {
  std::vector<std::string> out;
  UniqueFd fd = open_dir(at, name);
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return out;
  fd.release();
  while (const dirent* entry = readdir(dir)) {
    const std::string child = entry->d_name;
    if (child != "." && child != "..") out.push_back(child);
  }
  closedir(dir);
  return out;
}

/// One look at a layer. A problem comes with what mends it, if anything does; mending the index is
/// done by writing the log anew at the end.
class Verifier {
 public:
  Verifier(const LayerPlace& place, bool repair) : place_(place), repair_(repair) {}

  LayerStore::Answer<VerifyReport> run() {
    const std::string what = "layer " + place_.name + ": ";
    dir_.reset(::open(place_.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir_) {
      answer_.error = what + (errno == ENOENT ? "there is no such layer" : strerror(errno));
      return std::move(answer_);
    }
    if (!interrupted_restore() || !lock() || !interrupted_commit()) return std::move(answer_);
    check_dir(dir_.get(), "", 0777 & ~S_IRWXU, "open to others");
    if (header() && directories()) {
      log();
      if (answer_.ok()) snapshots();
    }
    if (!answer_.ok()) answer_.value.problems.clear();
    return std::move(answer_);
  }

 private:
  using Mend = std::function<std::string()>;  ///< says what was done; "" and errno: it failed

  void problem(const std::string& text, const Mend& mend = nullptr) {
    if (!repair_ || !mend) {
      answer_.value.problems.push_back(text);
      return;
    }
    if (!backup()) return;
    errno = 0;
    const std::string done = mend();
    if (done.empty()) {
      answer_.value.problems.push_back(text + ": can't be mended: " + strerror(errno));
    } else {
      answer_.value.repaired.push_back(text + ": " + done);
    }
  }

  /// A copy of the log as it was, once, before anything is changed.
  bool backup() {
    if (backed_up_ || !answer_.ok()) return answer_.ok();
    const auto text = read_whole(dir_.get(), "log");
    if (!text && text.error() == ENOENT) return true;
    char name[64];
    const time_t now = time(nullptr);
    tm parts{};
    localtime_r(&now, &parts);
    strftime(name, sizeof name, "log.backup-%Y%m%d-%H%M%S", &parts);
    std::string free = name;
    for (int i = 2; faccessat(dir_.get(), free.c_str(), F_OK, 0) == 0; ++i) {
      free = std::string(name) + "-" + std::to_string(i);
    }
    const auto done = text ? replace_file(dir_.get(), free.c_str(), *text) : text.error();
    if (!done) {
      answer_.error =
          "layer " + place_.name +
          ": nothing was repaired: a copy of the log can't be made: " + done.error().message();
      return false;
    }
    answer_.value.repaired.push_back("log: copied to " + place_.dir + "/" + free);
    return backed_up_ = true;
  }

  bool interrupted_restore() {
    if (faccessat(dir_.get(), "restored", F_OK, AT_SYMLINK_NOFOLLOW) < 0) return true;
    const std::string text = "restored: a restore or discard was cut short after it was decided";
    if (!repair_) {
      answer_.value.problems.push_back(text + "; it ends when the layer is next used");
      return false;
    }
    MountError error;
    if (!finish_restore(place_.dir, place_.name, &error)) answer_.error = error.text;
    answer_.value.repaired.push_back(text + ": it was ended");
    return answer_.ok();
  }

  /// While a commit is unfinished, files may be elsewhere: nothing of the layer is wrong for that,
  /// and nothing of it may be mended.
  bool interrupted_commit() {
    auto& problems = answer_.value.problems;
    const auto there = CommitJournal::exists(dir_.get());
    if (!there) problems.push_back("commit: " + there.error().message());
    if (!there || !*there) return there.ok();
    const auto read = CommitJournal(place_.dir).read();
    if (read || read.error() != Errno(EINVAL)) {
      const std::string& name = place_.name;
      problems.push_back(read ? "commit: a commit of it was cut short: viewsh commit --resume " +
                                    name + " goes on with it, viewsh commit --undo " + name +
                                    " takes it back"
                              : "commit: " + read.error().message());
      return false;
    }
    const std::string text = "commit: a commit of it was cut short, and its journal is damaged";
    lock_.reset();
    auto view = place_.open(repair_, &answer_.error, true);
    if (!view) return false;
    if (!repair_) {
      problems = names_of_commit(view.get());
      problems.insert(problems.begin(), text);
      return false;
    }
    bool applied = false;
    answer_.error = salvage_commit(view.get(), &applied, &problems);
    if (!answer_.ok()) {
      answer_.error = "layer " + place_.name + ": " + answer_.error;
      return false;
    }
    answer_.value.repaired.push_back(
        text + (applied ? ": all of it was committed; what is still in the layer isn't needed"
                        : ": what could be was taken back"));
    view.reset();
    return lock();
  }

  bool lock() {
    lock_.reset(openat(dir_.get(), "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!lock_ || flock(lock_.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return true;
    answer_.error = "layer " + place_.name + ": in use by view " + layer_user(place_.dir);
    return false;
  }

  void check_dir(int at, const std::string& name, mode_t wrong, const std::string& why) {
    struct stat st {};
    const std::string path = name.empty() ? "." : name;
    const std::string shown = name.empty() ? place_.dir : name;
    if (fstatat(at, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (st.st_uid != geteuid()) problem(shown + ": belongs to user " + std::to_string(st.st_uid));
    if ((st.st_mode & wrong) == 0) return;
    problem(shown + ": is " + why, [&, path]() -> std::string {
      return fchmodat(at, path.c_str(), st.st_mode & 07777 & ~wrong, 0) == 0 ? "closed" : "";
    });
  }

  bool header() {
    const auto text = read_whole(dir_.get(), "layer");
    if (!text) {
      problem("layer: " + text.error().message() + ": this is not a layer");
      return false;
    }
    LayerHeader header;
    const std::string why = parse_header(*text, &header);
    if (!why.empty()) problem("layer: " + why);
    lower_ = header.lower;
    struct stat st {};
    if (!lower_.empty() && (stat(lower_.c_str(), &st) < 0 || !S_ISDIR(st.st_mode))) {
      problem("layer: its lower " + lower_ + ": " + strerror(errno == 0 ? ENOTDIR : errno));
    }
    return why.empty();
  }

  bool directories() {
    bool upper = true;
    for (const char* name : {"upper", "links", "work"}) {
      struct stat st {};
      if (fstatat(dir_.get(), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) continue;
        problem(std::string(name) + ": is not a directory");
        upper = false;
        continue;
      }
      problem(std::string(name) + ": " + strerror(errno), [&]() -> std::string {
        return mkdirat(dir_.get(), name, 0700) == 0 ? "made, empty" : "";
      });
    }
    upper_ = open_dir(dir_.get(), "upper");
    links_ = open_dir(dir_.get(), "links");
    return upper && upper_ && links_;
  }

  void log() {
    const auto text = read_whole(dir_.get(), "log");
    if (!text && text.error() != ENOENT) return problem("log: " + text.error().message());
    if ((!text || text->empty()) && !names_in(dir_.get(), "upper").empty()) {
      problem("log: is gone; what was hidden or renamed is lost", [&] { return rewrite(); });
    }
    const Salvage salvage = Salvage::read(text ? *text : std::string(), upper_.get());
    for (const Transaction& t : salvage.history) index_.apply(t);
    for (const std::string& line : salvage.problems) {
      problem(line, [&] { return rewrite("dropped"); });
    }
    dangling();
    stray_content();
    hidden();
    upper_tree(index_.root(), "");
    anchors();
    if (!rewrite_ || !answer_.ok()) return;
    const auto done = replace_file(dir_.get(), "log", log_text(index_.snapshot(), true));
    if (!done) answer_.error = "layer " + place_.name + ": log: " + done.error().message();
  }

  /// Records of what isn't in upper/.
  void dangling() {
    std::vector<std::string> gone;
    index_.each([&](Node* node) {
      if (node->state != Node::State::kUpper || !node->meta || node->parent == nullptr) return;
      struct stat st {};
      const std::string path = Index::path_of(node);
      const PathAt at(upper_.get(), path);
      const int rc = fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW);
      if (rc < 0) gone.push_back(path + ": is recorded, but upper/ doesn't have it");
      if (rc == 0 && type_of_mode(st.st_mode) != node->meta->type) {
        gone.push_back(path + ": is recorded as of another type than upper/ has");
      }
    });
    for (const std::string& line : gone) {
      problem(line, [&] { return rewrite("its record dropped"); });
    }
    index_.verify(upper_.get());
  }

  /// Content where the log says that the lower's own node is shown.
  void stray_content() {
    std::vector<std::string> stray;
    index_.each([&](Node* node) {
      struct stat st {};
      const std::string path = Index::path_of(node);
      if (node->state != Node::State::kRef) return;
      const PathAt at(upper_.get(), path);
      if (fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
        stray.push_back(path);
      }
    });
    for (const std::string& path : stray) {
      problem(path + ": upper/ has content, but the log says the lower's is shown",
              [&] { return keep(upper_.get(), path); });
    }
  }

  void hidden() {
    std::vector<std::string> wrong;
    index_.each([&](Node* node) {
      if (!node->hidden || node->parent == nullptr || node->parent->merged()) return;
      wrong.push_back(Index::path_of(node));
    });
    for (const std::string& path : wrong) {
      problem(path + ": is hidden where nothing of the lower shows", [&] {
        index_.apply(Record::show(path));
        return rewrite("its record dropped");
      });
    }
  }

  /// Moves what belongs nowhere to lost+found/ of the layer.
  std::string keep(int dir, const std::string& path) {
    const PathAt at(dir, path);
    if (mkdirat(dir_.get(), "lost+found", 0700) < 0 && errno != EEXIST) return {};
    for (int i = 1; i < 1000000; ++i) {
      const std::string name = std::string(name_of(path)).substr(0, 200);
      const std::string to = "lost+found/" + std::to_string(i) + "-" + name;
      if (renameat2(at.dir(), at.name(), dir_.get(), to.c_str(), RENAME_NOREPLACE) == 0) {
        return "kept as " + place_.dir + "/" + to;
      }
      if (errno != EEXIST) return {};
    }
    return {};
  }

  std::string rewrite(const std::string& done = "written anew") {
    rewrite_ = true;
    return done;
  }

  void upper_tree(Node* dir, const std::string& path) {
    check_upper_dir(path);
    const auto loaded = index_.load(dir, path, upper_.get());
    if (!loaded) return problem("upper/" + path + ": " + loaded.error().message());
    std::vector<std::string> names;
    if (dir->children) {
      for (const auto& [name, child] : *dir->children) names.emplace_back(name);
    }
    for (const std::string& name : names) {
      Node* node = dir->child(name);
      if (node == nullptr || node->state != Node::State::kUpper) continue;
      const std::string child = join(path, name);
      if (!node->meta && !node->hidden && dir->merged()) unrecorded(node, child);
      if (node->is_dir()) upper_tree(node, child);
    }
  }

  void check_upper_dir(const std::string& path) {
    struct stat st {};
    const PathAt at(upper_.get(), path.empty() ? "." : path);
    if (fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if ((st.st_mode & S_IRWXU) == S_IRWXU) return;
    problem("upper/" + path + ": its owner may not read, write and search it",
            [&]() -> std::string {
              const mode_t mode = (st.st_mode & 07777) | S_IRWXU;
              return fchmodat(at.dir(), at.name(), mode, 0) == 0 ? "permitted" : "";
            });
  }

  /// The view can't have made a name that the lower had without a record of the lower's.
  void unrecorded(Node* node, const std::string& path) {
    if (lower_.empty()) return;
    const std::string lower = (lower_ == "/" ? "" : lower_) + "/" + Index::lower_path_of(node);
    const auto below = lstat_at(AT_FDCWD, lower);
    const auto here = lstat_at(upper_.get(), path);
    if (!below || !here) return;
    auto meta = lost_record(node, *here, *below);
    if (!meta) return;
    problem(path + ": stands for a name of the lower, but its record is lost", [&] {
      const bool dirs = meta->kind == Meta::Kind::kMerged;
      index_.apply(Record::node(path, std::move(*meta)));
      return rewrite(dirs ? "adopted, merged with the lower's directory" : "adopted as its copy");
    });
  }

  void anchors() {
    std::set<std::string> wanted;
    for (const auto& [key, linked] : index_.linked()) {
      if (linked.anchor) wanted.insert(std::to_string(key.dev) + "-" + std::to_string(key.ino));
    }
    for (const std::string& name : names_in(dir_.get(), "links")) {
      if (wanted.erase(name) != 0) continue;
      problem("links/" + name + ": is not recorded", [&] { return keep(links_.get(), name); });
    }
    for (const std::string& name : wanted) {
      problem("links/" + name + ": is recorded, but isn't there", [&] {
        for (auto it = index_.linked().begin(); it != index_.linked().end(); ++it) {
          const std::string key =
              std::to_string(it->first.dev) + "-" + std::to_string(it->first.ino);
          if (key == name) it->second.anchor = false;
        }
        return rewrite("the lower's other names show the lower's content again");
      });
    }
  }

  void snapshots() {
    const auto names = snapshot_names(dir_.get());
    if (!names) {
      problem("snapshots: " + names.error().message());
      return;
    }
    for (const std::string& name : *names) {
      const std::string what = "snapshots/" + name + ": ";
      Snapshot snapshot;
      if (std::string why = Snapshot::read(dir_.get(), name, &snapshot); !why.empty()) {
        problem(what + why);
        continue;
      }
      UniqueFd objects = open_dir(dir_.get(), Snapshot::objects(name));
      for (const TreeEntry& e : snapshot.tree.entries) {
        if (e.type == NodeType::kDirectory) continue;
        const std::string object = snapshot.tree.object(e.object);
        const auto attr = lstat_at(objects.get(), object);
        if (!attr || type_of_mode(attr->stx_mode) != e.type ||
            (e.type == NodeType::kRegular && attr->stx_size != e.size)) {
          problem(what + e.path + ": its content (objects/" + object + ") is " +
                  (attr ? "not what it was" : "gone"));
        }
      }
    }
  }

  const LayerPlace& place_;
  bool repair_;
  bool backed_up_ = false;
  bool rewrite_ = false;
  LayerStore::Answer<VerifyReport> answer_;
  UniqueFd dir_, lock_, upper_, links_;
  std::string lower_;
  Index index_;
};

}  // namespace

LayerStore::Answer<VerifyReport> verify_layer(const LayerPlace& place, bool repair) {
  LayerStore::Answer<VerifyReport> out;
  out.error = check_layer_name(place.name);
  return out.ok() ? Verifier(place, repair).run() : out;
}

}  // namespace viewsh::viewfs

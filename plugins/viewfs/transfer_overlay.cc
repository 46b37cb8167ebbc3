#include "transfer_overlay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"
#include "deep_path.h"

namespace viewsh::viewfs {
namespace {

constexpr std::string_view kOwn = "user.overlay.";
constexpr char kOpaque[] = "user.overlay.opaque";
constexpr char kWhiteout[] = "user.overlay.whiteout";

/// What programs call user.overlay.NAME has to be escaped: it would mean something.
TransferNode escaped(const TransferNode& node) {
  TransferNode out = node;
  out.xattrs.clear();
  for (const auto& [key, value] : node.xattrs) {
    const bool own = key.rfind(kOwn, 0) == 0;
    out.xattrs[own ? std::string(kOwn) + "overlay." + key.substr(kOwn.size()) : key] = value;
  }
  return out;
}

std::string get_xattr(const LongPath& path, const char* name) {
  char value[16];
  const ssize_t n = lgetxattr(path.c_str(), name, value, sizeof value);
  return n < 0 ? std::string() : std::string(value, static_cast<size_t>(n));
}

bool has_xattr(const LongPath& path, const std::string& name) {
  return lgetxattr(path.c_str(), name.c_str(), nullptr, 0) >= 0;
}

}  // namespace

OverlayWriter::OverlayWriter(int root, TransferMeter* meter)
    : root_(root), meter_(*meter), tree_(root, meter) {}

void OverlayWriter::tell_owner(const TransferNode& node, const TreeMaker::Kept& kept) {
  if (!kept.owner) meter_.lost("the owner can't be kept", node.path);
}

std::string OverlayWriter::node(const TransferNode& node, Content* content) {
  TransferNode own = escaped(node);
  TreeMaker::Kept kept;
  const bool dir = S_ISDIR(node.attr.stx_mode);
  if (!node.path.empty()) {
    if (std::string error = tree_.make(own, content, &kept); !error.empty()) return error;
  }
  if (dir) {
    dirs_.push_back(std::move(own));
  } else {
    tell_owner(node, kept);
  }
  return {};
}

/// Where the kernel lets only the privileged make whiteouts: an empty file with an attribute, in a
/// directory that is marked.
std::string OverlayWriter::xattr_whiteout(int dir_fd, const std::string& name,
                                          const std::string& path) {
  UniqueFd fd(openat(dir_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd || fsetxattr(fd.get(), kWhiteout, "y", 1, 0) < 0) {
    return told(path) + ": " + strerror(errno);
  }
  if (xattr_dirs_.empty()) {
    meter_.note(
        "whiteouts are files with an attribute, since device numbers 0/0 can't be made here: "
        "use the directory as a lowerdir");
  }
  xattr_dirs_.insert(std::string(parent_of(path)));
  return {};
}

std::string OverlayWriter::whiteout(const std::string& path) {
  const int at = tree_.dir(parent_of(path));
  if (at < 0) return told(path) + ": " + strerror(errno);
  const std::string name(name_of(path));
  if (mknodat(at, name.c_str(), S_IFCHR | 0600, makedev(0, 0)) == 0) return {};
  if (errno == EPERM || errno == EACCES || errno == EINVAL || errno == EOPNOTSUPP) {
    return xattr_whiteout(at, name, path);
  }
  return told(path) + ": " + strerror(errno);
}

std::string OverlayWriter::opaque(const std::string& path) {
  opaque_.insert(path);
  return {};
}

std::string OverlayWriter::finish() {
  for (auto it = dirs_.rbegin(); it != dirs_.rend(); ++it) {
    const bool opaque = opaque_.count(it->path) != 0;
    if (opaque || xattr_dirs_.count(it->path) != 0) it->xattrs[kOpaque] = opaque ? "y" : "x";
    TreeMaker::Kept kept;
    if (std::string error = tree_.finish_dir(*it, 0, &kept); !error.empty()) return error;
    tell_owner(*it, kept);
    if (!opaque) continue;
    // Without its mark a directory would show again what was deleted in it.
    const UniqueFd fd = open_deep(root_, parent_of(it->path));
    const std::string name(it->path.empty() ? "." : name_of(it->path));
    if (!fd || !has_xattr(LongPath(fd.get(), name), kOpaque)) {
      return told(it->path) + ": can't be marked opaque: no user attributes here";
    }
  }
  return {};
}

namespace {

class OverlayReader {
 public:
  OverlayReader(int root, LayerSink* sink) : root_(root), sink_(*sink) {}
  ~OverlayReader() {
    for (auto it = loosened_.rbegin(); it != loosened_.rend(); ++it) {
      const UniqueFd dir = open_deep(root_, it->first);
      if (dir) fchmod(dir.get(), it->second);
    }
  }
  OverlayReader(const OverlayReader&) = delete;
  OverlayReader& operator=(const OverlayReader&) = delete;

  std::string run() {
    std::vector<std::string> todo{""};
    std::string error;
    while (!todo.empty() && error.empty()) {
      const std::string path = std::move(todo.back());
      todo.pop_back();
      std::vector<std::string> below;
      error = visit(path, &below);
      todo.insert(todo.end(), below.rbegin(), below.rend());
    }
    return error.empty() ? sink_.finish() : error;
  }

 private:
  std::string visit(const std::string& path, std::vector<std::string>* below) {
    const UniqueFd fd = open_deep(root_, path);
    const auto attr = fd ? lstat_at(fd.get(), "") : Result<Attr>(Errno::last());
    const auto names = attr ? list_sorted(fd.get()) : Result<std::vector<DeepEntry>>(attr.error());
    if (!names) return told(path) + ": " + names.error().message();
    const LongPath self(fd.get(), ".");
    TransferNode node;
    node.path = path;
    node.attr = *attr;
    for (const auto& [dir, mode] : loosened_) {
      if (dir == path) node.attr.stx_mode = static_cast<uint16_t>(S_IFDIR | mode);
    }
    std::string error = take_xattrs(self, &node);
    if (error.empty()) error = sink_.node(node, nullptr);
    if (error.empty() && mark(self, "opaque") == "y") error = sink_.opaque(path);
    for (const bool marks : {true, false}) {
      for (const DeepEntry& entry : *names) {
        if (error.empty()) error = name(fd.get(), join(path, entry.name), entry.name, marks, below);
      }
    }
    return error;
  }

  static std::string mark(const LongPath& at, const std::string& name) {
    const std::string value = get_xattr(at, ("user.overlay." + name).c_str());
    return value.empty() ? get_xattr(at, ("trusted.overlay." + name).c_str()) : value;
  }

  static bool is_whiteout(const Attr& attr, const LongPath& at) {
    if (S_ISCHR(attr.stx_mode)) return attr.stx_rdev_major == 0 && attr.stx_rdev_minor == 0;
    return S_ISREG(attr.stx_mode) && attr.stx_size == 0 &&
           (has_xattr(at, kWhiteout) || has_xattr(at, "trusted.overlay.whiteout"));
  }

  /// What overlayfs notes for itself is left out, what it took from elsewhere can't be read.
  static std::string take_xattrs(const LongPath& at, TransferNode* node) {
    for (const char* name : {"redirect", "metacopy"}) {
      for (const char* space : {"user.overlay.", "trusted.overlay."}) {
        if (!has_xattr(at, std::string(space) + name)) continue;
        return told(node->path) + ": its content is in a lower layer (" + space + name +
               "); mount without redirect_dir and metacopy";
      }
    }
    const auto xattrs = read_xattrs(at);
    if (!xattrs) return told(node->path) + ": " + xattrs.error().message();
    for (const auto& [key, value] : *xattrs) {
      const std::string escaped = std::string(kOwn) + "overlay.";
      if (key.rfind(escaped, 0) == 0) {
        node->xattrs[std::string(kOwn) + key.substr(escaped.size())] = value;
      } else if (key.rfind(kOwn, 0) != 0) {
        node->xattrs[key] = value;
      }
    }
    return {};
  }

  /// One name: with `marks` only if it is a whiteout, else only if it is not.
  std::string name(int dir_fd, const std::string& path, const std::string& name, bool marks,
                   std::vector<std::string>* below) {
    const auto attr = lstat_at(dir_fd, name);
    if (!attr) return told(path) + ": " + attr.error().message();
    const LongPath at(dir_fd, name);
    const bool whiteout = is_whiteout(*attr, at);
    if (marks != whiteout) return {};
    if (whiteout) return sink_.whiteout(path);
    if (S_ISDIR(attr->stx_mode)) {
      below->push_back(path);
      constexpr mode_t kNeeded = S_IRUSR | S_IXUSR;
      const mode_t mode = attr->stx_mode & 07777;
      if ((mode & kNeeded) != kNeeded && attr->stx_uid == geteuid() &&
          fchmodat(dir_fd, name.c_str(), mode | kNeeded, 0) == 0) {
        loosened_.emplace_back(path, mode);
      }
      return {};
    }
    TransferNode node;
    node.path = path;
    node.attr = *attr;
    if (std::string error = take_xattrs(at, &node); !error.empty()) return error;
    return file(dir_fd, name, &node);
  }

  std::string file(int dir_fd, const std::string& name, TransferNode* node) {
    const Attr& attr = node->attr;
    if (attr.stx_nlink > 1) {
      const auto [known, fresh] =
          first_names_.try_emplace({dev_of(attr), attr.stx_ino}, node->path);
      if (!fresh) {
        node->link = known->second;
        return sink_.node(*node, nullptr);
      }
    }
    if (S_ISLNK(attr.stx_mode)) {
      const auto target = read_link(dir_fd, name);
      if (!target) return told(node->path) + ": " + target.error().message();
      node->target = *target;
    }
    if (!S_ISREG(attr.stx_mode)) return sink_.node(*node, nullptr);
    UniqueFd fd = open_content(dir_fd, name, attr, true);
    if (!fd) return told(node->path) + ": " + strerror(errno);
    FileContent content(std::move(fd), attr.stx_size);
    return sink_.node(*node, &content);
  }

  int root_;
  LayerSink& sink_;
  std::map<std::pair<uint64_t, uint64_t>, std::string> first_names_;
  std::vector<std::pair<std::string, mode_t>> loosened_;  ///< the caller's own, with their modes
};

}  // namespace

std::string read_overlay(int root, LayerSink* sink) { return OverlayReader(root, sink).run(); }

}  // namespace viewsh::viewfs

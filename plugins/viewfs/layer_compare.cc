#include "layer_compare.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "cow_host.h"
#include "same_content.h"

namespace viewsh::viewfs {
namespace {

/// What one state shows at a path.
struct Spot {
  bool exists = false;
  const Node* node = nullptr;  ///< null: it is the lower's
  bool has_lower = false;      ///< a directory: shows what `lower` has, too
  std::string lower;
  std::string host;  ///< of the content; of a snapshot's directory ""
  Attr attr{};
  Result<Xattrs> xattrs{Xattrs()};

  NodeType type() const { return type_of_mode(attr.stx_mode); }
  bool is_dir() const { return exists && type() == NodeType::kDirectory; }
};

class State {
 public:
  explicit State(const LayerView& view) : view_(view) {}

  Spot root() const {
    const Node* node = view_.index.find("");
    return upper(node, "", true, "");
  }

  Spot child(const Spot& dir, const std::string& path, const std::string& name) const {
    if (!dir.is_dir()) return {};
    const Node* node = dir.node != nullptr ? dir.node->child(name) : nullptr;
    const std::string lower = join(dir.lower, name);
    if (node != nullptr && node->present()) {
      const std::string& source = node->meta ? node->meta->redirect : std::string();
      const bool has = !source.empty() || dir.has_lower;
      if (node->state == Node::State::kUpper) {
        return upper(node, path, has, source.empty() ? lower : source);
      }
      Spot spot = of_lower(source.empty() ? lower : source);
      spot.node = node;
      override_attr(node, &spot);
      return spot;
    }
    if (!dir.has_lower || (node != nullptr && node->hidden)) return {};
    return of_lower(lower);
  }

  /// `all`: of the lower, too; else only those that the layer says something of.
  void names(const Spot& dir, bool all, std::set<std::string>* out) const {
    if (!dir.is_dir()) return;
    if (dir.node != nullptr && dir.node->children) {
      for (const auto& [name, child] : *dir.node->children) out->emplace(name);
    }
    if (!all || !dir.has_lower) return;
    DIR* stream = opendir(LongPath(view_.lower_host(dir.lower)).c_str());
    if (stream == nullptr) return;  // what can't be read there is not shown by a view either
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") out->insert(name);
    }
    closedir(stream);
  }

 private:
  static void override_attr(const Node* node, Spot* spot) {
    if (!node->meta) return;
    const Meta& meta = *node->meta;
    if (meta.mode) {
      spot->attr.stx_mode =
          static_cast<uint16_t>((spot->attr.stx_mode & S_IFMT) | (*meta.mode & 07777));
    }
    if (meta.uid) spot->attr.stx_uid = *meta.uid;
    if (meta.gid) spot->attr.stx_gid = *meta.gid;
  }

  Spot upper(const Node* node, const std::string& path, bool has_lower,
             const std::string& lower) const {
    Spot spot;
    const auto attr = view_.upper_attr(path);
    if (!attr) return spot;
    spot.exists = true;
    spot.node = node;
    spot.attr = *attr;
    spot.has_lower = has_lower && node->merged();
    spot.lower = lower;
    spot.host = view_.upper_host(path);
    if (!S_ISLNK(attr->stx_mode)) spot.xattrs = view_.upper_xattrs(path);
    override_attr(node, &spot);
    return spot;
  }

  Spot of_lower(const std::string& lower) const {
    Spot spot;
    spot.host = view_.lower_host(lower);
    const auto attr = lstat_at(AT_FDCWD, spot.host);
    if (!attr) return {};
    spot.exists = spot.has_lower = true;
    spot.attr = *attr;
    spot.lower = lower;
    if (!S_ISLNK(attr->stx_mode)) spot.xattrs = read_xattrs(LongPath(spot.host));
    return spot;
  }

  const LayerView& view_;
};

bool same_object(const Spot& a, const Spot& b) {
  if (a.node == nullptr && b.node == nullptr) return a.lower == b.lower;
  const auto one = lstat_at(AT_FDCWD, a.host);
  const auto other = lstat_at(AT_FDCWD, b.host);
  return one && other && one->stx_ino == other->stx_ino && dev_of(*one) == dev_of(*other);
}

class Comparer {
 public:
  Comparer(const LayerView& a, const LayerView& b, const Selection& selection)
      : view_(b), a_(a), b_(b), selection_(selection) {}

  std::vector<Change> run() {
    const Spot a = a_.root();
    const Spot b = b_.root();
    if (metadata(a, b) && selection_.has("")) add(Change::Kind::kChanged, "", a, b).metadata = true;
    directory(a, b, "");
    return std::move(out_);
  }

 private:
  static bool metadata(const Spot& a, const Spot& b) {
    return a.attr.stx_mode != b.attr.stx_mode || a.attr.stx_uid != b.attr.stx_uid ||
           a.attr.stx_gid != b.attr.stx_gid || !same_xattrs(a.xattrs, b.xattrs);
  }

  Change& add(Change::Kind kind, const std::string& path, const Spot& a, const Spot& b) {
    Change& c = out_.emplace_back();
    c.kind = kind;
    c.path = view_.view_path(path);
    c.type = b.exists ? b.type() : a.type();
    c.lower = a.host;
    c.upper = b.host;
    return c;
  }

  void directory(const Spot& a, const Spot& b, const std::string& path) {
    const bool same_lower = a.has_lower && b.has_lower && a.lower == b.lower;
    if (same_lower && a.node == nullptr && b.node == nullptr) return;
    std::set<std::string> names;
    a_.names(a, !same_lower, &names);
    b_.names(b, !same_lower, &names);
    for (const std::string& name : names) {
      const std::string child = join(path, name);
      if (!selection_.touches(child)) continue;
      node(a_.child(a, child, name), b_.child(b, child, name), child);
    }
  }

  void node(const Spot& a, const Spot& b, const std::string& path) {
    const bool meant = selection_.has(path);
    if (!a.exists && !b.exists) return;
    if (!b.exists) {
      if (meant) add(Change::Kind::kDeleted, path, a, b);
      return;
    }
    if (!a.exists || a.type() != b.type()) {
      if (meant) add(a.exists ? Change::Kind::kTypeChanged : Change::Kind::kAdded, path, a, b);
      if (b.is_dir()) directory({}, b, path);
      return;
    }
    if (b.is_dir()) {
      if (meant && metadata(a, b)) add(Change::Kind::kChanged, path, a, b).metadata = true;
      directory(a, b, path);
      return;
    }
    if (!meant) return;
    const bool content = !same_object(a, b) && !same_content(a.host, b.host);
    const bool times = file_time(a.attr.stx_mtime) != file_time(b.attr.stx_mtime);
    if (!content && !times && !metadata(a, b)) return;
    Change& c = add(Change::Kind::kChanged, path, a, b);
    c.content = content;
    c.metadata = metadata(a, b) || (times && !content);
  }

  const LayerView& view_;
  State a_, b_;
  const Selection& selection_;
  std::vector<Change> out_;
};

}  // namespace

std::vector<Change> compare_layers(const LayerView& a, const LayerView& b,
                                   const Selection& selection) {
  return Comparer(a, b, selection).run();
}

}  // namespace viewsh::viewfs

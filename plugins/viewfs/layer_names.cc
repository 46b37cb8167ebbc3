#include "layer_names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "copy_up.h"
#include "cow_host.h"
#include "transfer_walk.h"

namespace viewsh::viewfs {
namespace {

using Key = std::pair<uint64_t, uint64_t>;

/// Lower inodes whose copy is in links/ while some of their names are still the lower's.
std::set<Key> nameless(const LayerView& view) {
  std::set<Key> out;
  for (const auto& [key, linked] : view.index.linked()) {
    if (linked.anchor && linked.covered < static_cast<int64_t>(linked.state.nlink)) {
      out.emplace(key.dev, key.ino);
    }
  }
  if (out.empty()) return out;
  view.index.each([&](const Node* node) {
    if (node->state != Node::State::kUpper || !node->meta || !node->meta->origin) return;
    out.erase({node->meta->origin->dev, node->meta->origin->ino});
  });
  return out;
}

class Namer {
 public:
  explicit Namer(LayerView* view) : view_(*view), layer_(*view->layer) {}

  std::string run() {
    const std::set<Key> wanted = nameless(view_);
    const UniqueFd lower(open(layer_.lower().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lower) return layer_.lower() + ": " + Errno::last().message();
    const TransferOptions options;
    TransferMeter meter(options);
    LinkedNames found;
    std::string error = find_linked_names(view_, lower.get(), &meter, &found);
    for (const auto& [dir, names] : found.names) {
      for (const std::string& name : names) {
        const std::string path = join(dir, name);
        const auto attr = lstat_at(AT_FDCWD, view_.shown_host(path));
        if (!error.empty() || !attr || wanted.count({dev_of(*attr), attr->stx_ino}) == 0) continue;
        if (const auto done = give_name(path, *attr); !done) {
          error = view_.view_path(path) + ": " + done.error().message();
        }
      }
    }
    const auto settled = error.empty() ? layer_.settle() : Result<void>();
    return settled ? error : "log: " + settled.error().message();
  }

 private:
  Result<void> change(const Transaction& t, const std::function<int()>& step) {
    TRY(layer_.begin(t));
    if (step() < 0) {
      const Errno error = Errno::last();
      layer_.rollback();
      return error;
    }
    view_.index.apply(t);
    return {};
  }

  Result<void> give_name(const std::string& path, const Attr& attr) {
    const auto it = view_.index.linked().find({dev_of(attr), attr.stx_ino});
    const std::string dir(parent_of(path));
    TRY(make_dirs_above(dir));
    const std::string anchor = link_name(it->second.state);
    TRY_ASSIGN(const Attr copy, lstat_at(layer_.links_fd(), anchor));
    const KeepTimes keep(layer_.upper_fd(), dir);
    Transaction t;
    t.test = {HostTest::Kind::kIno, path, copy.stx_ino};
    t.ahead = true;
    Meta meta;
    meta.type = type_of_mode(copy.stx_mode);
    meta.origin = it->second.state;
    t.records.push_back(Record::node(path, std::move(meta)));
    Record r;
    r.op = Record::Op::kLinked;
    r.state = it->second.state;
    r.covered = it->second.covered + 1;
    r.anchor = true;
    const bool last = r.covered >= static_cast<int32_t>(r.state.nlink);
    t.records.push_back(std::move(r));
    const PathAt to(layer_.upper_fd(), path);
    TRY(change(t,
               [&] { return linkat(layer_.links_fd(), anchor.c_str(), to.dir(), to.name(), 0); }));
    return last ? from_libc(unlinkat(layer_.links_fd(), anchor.c_str(), 0)) : Result<void>();
  }

  /// The directories of upper/ that lead to a name, each with what the lower's has.
  Result<void> make_dirs_above(const std::string& path) {
    const Node* known = view_.index.find(path);
    if (known != nullptr && known->is_dir()) return {};
    TRY(make_dirs_above(std::string(parent_of(path))));
    const std::string host = view_.shown_host(path);
    TRY_ASSIGN(const Attr attr, lstat_at(AT_FDCWD, host));
    if (!S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
    const std::string temp = layer_.temp_name();
    TRY_ASSIGN(const Xattrs xattrs, read_xattrs(LongPath(host)));
    TRY_ASSIGN(Meta meta, make_container_in(layer_.work_fd(), temp, attr, xattrs));
    TRY_ASSIGN(const Attr made, lstat_at(layer_.work_fd(), temp));
    const KeepTimes keep(layer_.upper_fd(), parent_of(path));
    Transaction t;
    t.test = {HostTest::Kind::kIno, path, made.stx_ino};
    t.records.push_back(Record::node(path, std::move(meta)));
    const PathAt to(layer_.upper_fd(), path);
    const auto done =
        change(t, [&] { return renameat(layer_.work_fd(), temp.c_str(), to.dir(), to.name()); });
    if (!done) unlinkat(layer_.work_fd(), temp.c_str(), AT_REMOVEDIR);
    if (done) view_.index.find(path)->loaded = true;
    return done;
  }

  LayerView& view_;
  Layer& layer_;
};

}  // namespace

bool has_nameless_copies(const LayerView& view) {
  const Layer& layer = *view.layer;
  return layer.over().empty() && !layer.lower().empty() && !nameless(view).empty();
}

std::string name_copies(LayerView* view) { return Namer(view).run(); }

}  // namespace viewsh::viewfs

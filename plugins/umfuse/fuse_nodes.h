#pragma once

#include <linux/fuse.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fuse_handle.h"
#include "fuse_session.h"

namespace viewsh {

/// What is known of a node of the server's.
struct FuseNode {
  uint64_t id = 0;
  uint64_t generation = 0;
  uint64_t lookups =
      0;            ///< how often the server gave it to us; it gets them back when it is forgotten
  mode_t type = 0;  ///< S_IFMT; doesn't change while the node lives
  fuse_attr attr = {};
  int64_t attr_end = 0;  ///< until when `attr` counts, by the steady clock, in ns
  uint64_t version = 0;  ///< changes() when what is known became so: an older reply is not news
  uint64_t used = 0;
  uint64_t parent = 0;    ///< of a directory: the one that it was seen in last
  unsigned children = 0;  ///< directories that are known in this one
  unsigned holds = 0;
  bool bad = false;  ///< the server contradicted itself: EIO from now on, as in the kernel
  std::shared_ptr<FuseHandle> handle;  ///< while it is held
  /// By which tasks have it open: one of each kind of access, the last one.
  std::array<std::shared_ptr<FuseHandle>, 3> opened;
  /// What the attributes said when its content was read; 0: it wasn't.
  uint64_t content_size = 0;
  uint64_t content_mtime = 0;
  uint32_t content_nsec = 0;
  bool content_known = false;
  bool content_old = false;  ///< the server said so
  bool fresh = false;        ///< was made, and opened, by FUSE_CREATE just now
};

/// The nodes that a server has told of, counted as it counts them, and for how long names and
/// attributes count. Everything that a reply says of nodes is judged here: what can't be is EIO.
/// fs/fuse/dir.c, fs/fuse/inode.c.
class FuseNodes {
 public:
  using Ref = std::shared_ptr<FuseNode>;

  static constexpr size_t kMostNodes = 20'000;

  FuseNodes(FuseSession& session, mode_t rootmode);

  /// ESTALE: nobody was given this number. EIO: the node is bad.
  Result<Ref> find(uint64_t id);
  /// The same for whoever only lets it go: bad ones, too.
  Result<Ref> find_any(uint64_t id);
  /// find(), or ENOTDIR.
  Result<Ref> directory(uint64_t id);

  /// Is the number that of any node?
  bool knows(uint64_t id) const { return nodes_.count(id) != 0; }
  /// Is it what its number stands for still? After a wait it may not be.
  bool current(const Ref& node) const {
    const auto found = nodes_.find(node->id);
    return found != nodes_.end() && found->second == node;
  }

  /// Takes what a server replied to a look-up or a creation: one look-up more. EIO: it can't be;
  /// it was forgotten again. ELOOP: a directory in itself. `type`: what was asked for, 0 for
  /// anything. `asked`: changes() when it was asked. What has changed since is known better: then
  /// nothing is said about where the node is, or about its attributes. fuse_change_attributes()
  Result<Ref> enter(uint64_t parent, std::string_view name, const fuse_entry_out& out, mode_t type,
                    uint64_t asked = kNow);
  /// The same in a listing.
  void enter_listed(uint64_t parent, std::string_view name, const fuse_entry_out& out,
                    uint64_t asked);
  static constexpr uint64_t kNow = UINT64_MAX;
  /// How often anything became another so far.
  uint64_t changes() const { return changes_; }
  /// The name is known to be absent, for as long as the server says.
  void absent(uint64_t parent, std::string_view name, const fuse_entry_out& out, uint64_t asked);
  /// Where a name leads to, 0 for nowhere; none: the server has to be asked.
  std::optional<uint64_t> known(uint64_t parent, std::string_view name);
  void drop_name(uint64_t parent, std::string_view name);
  void drop_names(uint64_t parent) { names_.erase(parent); }

  /// What a server replied on a node's attributes, asked for when the node was at `version`.
  Result<void> take_attr(const Ref& node, const fuse_attr& attr, uint64_t seconds,
                         uint32_t nanoseconds, uint64_t version);
  /// Do the attributes count still?
  static bool fresh(const FuseNode& node);
  /// They are to be asked for again.
  void stale(FuseNode* node);
  void stale(uint64_t id);

  /// Is the directory `id` below `ancestor`, or the same?
  bool is_below(uint64_t id, uint64_t ancestor) const;
  /// The directory was moved.
  void set_parent(FuseNode* directory, uint64_t parent);

  /// The caller has no use for the number any more: the server gets its look-ups back. A directory
  /// stays as long as one in it is known.
  void forget(uint64_t id);
  /// Of these nodes something is known elsewhere.
  void keep(std::function<bool(uint64_t)> used) { used_ = std::move(used); }
  /// So many that aren't held stay, those that were used last.
  void forget_but(size_t keep);
  void forget_all();
  /// As a look-up begins: those of long ago are forgotten when there are very many.
  void make_room();
  size_t size() const { return nodes_.size(); }
  /// All ids; for those that go through them while they change.
  template <typename Do>
  void each(Do&& act) {
    for (auto& [id, node] : nodes_) act(*node);
  }

  static bool valid(const fuse_attr& attr);

 private:
  struct Name {
    uint64_t node = 0;
    int64_t end = 0;
  };
  Result<Ref> judge(const fuse_entry_out& out, mode_t type, uint64_t asked);
  bool is_news(uint64_t directory, uint64_t asked) const;
  Ref take_out(uint64_t id);
  void remember(uint64_t parent, std::string_view name, uint64_t node, int64_t end);

  FuseSession& session_;
  std::unordered_map<uint64_t, Ref> nodes_;
  std::unordered_map<uint64_t, std::unordered_map<std::string, Name>> names_;
  size_t name_count_ = 0;
  uint64_t uses_ = 0;
  uint64_t changes_ = 0;
  size_t most_ = kMostNodes;
  std::function<bool(uint64_t)> used_;
};

}  // namespace viewsh

#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "commit_plan.h"

namespace viewsh::viewfs {

/// A name of the view: in a directory that the lower has, or in one that is new.
struct Spot {
  Object* dir = nullptr;       ///< the lower's; null: new
  std::string lower;           ///< the lower path of the name before the commit
  std::string path;            ///< the view's
  size_t item = SIZE_MAX;      ///< the new directory
  const Node* node = nullptr;  ///< what the layer has of it, where `dir` is the lower's
};

/// Gathers what is to become of names and turns it into renames in an order that works.
class Steps {
 public:
  Steps(LayerView* view, Tree* lower, CommitPlan* plan);

  /// What the lower has at a path. Null: nothing (ENOENT), or error() says what else. `node`: the
  /// path is the position of that.
  Object* lower(const std::string& path, const Node* node = nullptr);
  Errno error() const { return error_; }
  Result<InPlace::Xattrs> xattrs(const Object* object);

  /// What the lower has by this name, if anything, leaves it.
  void leave(const std::string& lower, const Node* node = nullptr);
  /// An item gets a name in a lower directory.
  void come(const Spot& spot, size_t item);
  /// A new directory gets its attributes in the end: its own may not let its owner in.
  void keep_open(size_t item) { (void)object_of(item); }
  /// What leaves its name gets another. False: on another file system.
  bool place(Object* moved, const Spot& spot);
  /// The attributes of a lower directory in the end.
  void finish_as(Object* dir, const Attributes& attributes) { finish_[dir] = attributes; }
  /// The old content of a file is kept beside it until the end.
  void back_up(Object* file, InPlace* in);

  /// All was said: fills the plan's record. Empty, or why it can't be.
  std::string finish();

 private:
  struct Position {
    Object* dir = nullptr;
    Object* old = nullptr;
    size_t item = SIZE_MAX;
    bool leave = false;
    std::string show;
  };
  struct Placement {
    Object* what;
    Object* dir;
    std::string name;
    std::string show;
    size_t depth;
  };
  Position& position(const std::string& lower, const Node* node);
  Object* object_of(size_t item);
  void touch(Object* dir);
  void settle(const std::string& lower, Position* p);
  bool settle_directly(const std::string& name, const Position& p);
  void rename(Rename::Kind kind, Object* what, Object* to, const std::string& name,
              const std::string& show);
  void tidy();
  void tidy_direct();
  std::string fresh_name() { return plan_.record.temp_name(temps_++); }
  static bool in_trash(const Object* object);

  LayerView& view_;
  Tree& tree_;
  CommitPlan& plan_;
  std::unordered_map<std::string, Object*> objects_;
  std::map<std::string, Position> positions_;
  std::vector<Placement> placements_;
  std::unordered_set<const Object*> placed_;  ///< by them
  uint64_t upper_dev_ = 0;                    ///< 0: nothing is to be renamed out of upper/
  std::unordered_map<Object*, Attributes> finish_;
  std::unordered_map<const Object*, size_t> touched_;  ///< number in record.dirs
  std::vector<std::pair<Object*, std::string>> backups_;
  Errno error_;
  size_t temps_ = 1;
};

}  // namespace viewsh::viewfs

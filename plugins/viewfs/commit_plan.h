#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "commit_record.h"
#include "commit_tree.h"
#include "layer_view.h"

namespace viewsh::viewfs {

/// An object of the lower while a commit is thought through: names change, it stays.
struct Object {
  Object* parent = nullptr;  ///< null: the root of the lower
  std::string name;
  std::string lower;  ///< path before the commit; of new ones empty
  Attr attr{};
  Stamp stamp;
  bool trash = false;    ///< ends without a name of its own
  bool changed = false;  ///< another name of it is planned, or of something below it
};
/// Where it is now.
std::string path_of(const Object* object);

/// Something new, made from what is in upper/. Items of a new directory follow it.
struct Item {
  enum class From : uint8_t {
    kUpper,  ///< made as, or copied or linked from, what is in upper/
    kKept,   ///< another name of a lower inode that stays
    kItem,   ///< another name of what `other` makes, or the other way round
  };
  From from = From::kUpper;
  size_t end = 0;            ///< the item after all that are below this one
  Object* dir = nullptr;     ///< where the topmost is to go; null: it is in the item above
  std::string name;          ///< in the end
  std::string path;          ///< in the view and in upper/
  Attr attr{};               ///< as the view shows it
  bool may_link = false;     ///< the inode of upper/ may become the lower's
  bool alone = false;        ///< no other name in the layer is the same file
  bool direct = false;       ///< of the topmost: gets its name by CommitRecord::direct
  bool late = false;         ///< a directory that gets attributes when all is in place
  std::string kept;          ///< kKept: lower path before the commit
  size_t other = 0;          ///< kItem: the earlier item
  size_t temp = 0;           ///< of a topmost: number of its temporary name
  Object* object = nullptr;  ///< known by name to the renames; its inode is learnt when it is made
};

/// What a commit does. `record` is complete but for the inode numbers of new things.
struct CommitPlan {
  /// The layer goes as a whole and alone: its files may be renamed into the lower.
  bool direct = false;
  CommitRecord record;
  std::vector<Item> items;
  std::deque<Object> objects;
  /// Beside record.renames, .trash, .finish: whose numbers these are.
  struct RenameObjects {
    const Object* what;
    const Object* from;
    const Object* to;
    const Object* old;  ///< of an exchange
  };
  std::vector<RenameObjects> renames;
  std::vector<const Object*> trash;  ///< null: a backup
  std::vector<const Object*> finish;
  bool nothing() const;
};

/// Thinks a commit through without writing anything. Empty, or why it can't be.
std::string plan_commit(LayerView* view, const Selection& selection,
                        const std::vector<NodeChange>& changes, Tree* lower, CommitPlan* plan);

/// The attributes that the view shows of a node in upper/.
void override_shown(const Node& node, Attr* attr);

}  // namespace viewsh::viewfs

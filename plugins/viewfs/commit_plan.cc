// What a commit is to do, thought through before anything is written. The renames come in two
// rounds: first every name of the lower is settled in the directory where it was, the deepest
// first, so that no directory has moved yet; then what left its name is put where it belongs, from
// the top of the view down, so that the directory it goes to is in its place.
#include "commit_plan.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "commit_groups.h"
#include "commit_steps.h"
#include "cow_host.h"

namespace viewsh::viewfs {

std::string path_of(const Object* object) {
  if (object->parent == nullptr) return {};
  return join(path_of(object->parent), object->name);
}

bool CommitPlan::nothing() const {
  return record.in_place.empty() && record.renames.empty() && record.finish.empty();
}

namespace {

class Planner {
 public:
  Planner(LayerView* view, const Selection& selection, const std::vector<NodeChange>& changes,
          Tree* lower, CommitPlan* plan)
      : view_(*view),
        selection_(selection),
        changes_(changes),
        upper_(view->layer->upper_fd()),
        groups_(view, selection, lower, &upper_),
        plan_(*plan),
        steps_(view, lower, plan) {}

  std::string run() {
    if (std::string why = groups_.collect(changes_); !why.empty()) return why;
    for (const NodeChange& c : changes_) changed_.insert(c.path);
    Object* root = steps_.lower("");
    if (root == nullptr) return fail("", steps_.error().value());
    directory_itself(view_.index.root(), "", root);
    merged(view_.index.root(), "", root);
    if (error_.empty()) keep_inodes();
    return error_.empty() ? steps_.finish() : error_;
  }

 private:
  std::string fail(const std::string& path, int code) { return fail(path, strerror(code)); }
  std::string fail(const std::string& path, const std::string& why) {
    if (error_.empty()) error_ = view_.view_path(path) + ": " + why;
    return error_;
  }

  /// What is shown under another name, and no more under its own, leaves that.
  bool gone_from_home(const std::string& lower) const { return !view_.shown_at_home(lower); }

  static std::vector<Node*> sorted(const Node* dir) {
    std::vector<Node*> out;
    if (dir->children) {
      for (auto& [name, child] : *dir->children) out.push_back(child.get());
    }
    std::sort(out.begin(), out.end(), [](Node* a, Node* b) { return a->name < b->name; });
    return out;
  }

  /// A directory that stays, and what is below it in the view.
  void merged(Node* node, const std::string& path, Object* dir) {
    for (Node* child : sorted(node)) {
      const std::string below = join(path, child->name);
      if (!error_.empty()) return;
      if (!selection_.touches(below)) continue;
      const Spot spot{dir, join(dir->lower, child->name), below, SIZE_MAX, child};
      if (!child->present()) {
        if (child->hidden && selection_.has(below)) steps_.leave(spot.lower, child);
      } else if (child->is_dir()) {
        directory(child, spot);
      } else {
        file(child, spot);
      }
    }
  }

  /// What is in a directory that is new.
  void fresh(Node* node, const std::string& path, size_t item) {
    for (Node* child : sorted(node)) {
      const std::string below = join(path, child->name);
      if (!error_.empty()) return;
      if (!child->present() || !selection_.touches(below)) continue;
      const Spot spot{nullptr, {}, below, item, nullptr};
      child->is_dir() ? directory(child, spot) : file(child, spot);
    }
  }

  void directory(Node* node, const Spot& spot) {
    const std::string& redirect = node->meta ? node->meta->redirect : no_redirect_;
    if (node->merged() && !redirect.empty()) {
      moved_directory(node, spot, redirect);
      return;
    }
    Object* there = spot.dir == nullptr ? nullptr : steps_.lower(spot.lower, spot.node);
    if (node->merged() && there != nullptr) {
      if (!S_ISDIR(there->attr.stx_mode)) {
        fail(spot.path, "what is underneath is no directory any more");
        return;
      }
      directory_itself(node, spot.path, there);
      merged(node, spot.path, there);
      return;
    }
    // Also one that is gone underneath: then it is what the layer has of it.
    if (there != nullptr && !selection_.has(spot.path)) {
      fail(spot.path, "was made anew; name it instead of what is in it");
      return;
    }
    const size_t item = make(node, spot);
    fresh(node, spot.path, item);
    plan_.items[item].end = plan_.items.size();
  }

  void moved_directory(Node* node, const Spot& spot, const std::string& redirect) {
    Object* moved = steps_.lower(redirect);
    if (moved == nullptr) {
      fail(spot.path, "was renamed, and is gone underneath: " + view_.view_path(redirect));
      return;
    }
    if (!S_ISDIR(moved->attr.stx_mode)) {
      fail(spot.path, "what is underneath is no directory any more");
      return;
    }
    move(moved, spot);
    directory_itself(node, spot.path, moved);
    merged(node, spot.path, moved);
  }

  void move(Object* moved, const Spot& spot) {
    if (spot.dir != nullptr) steps_.leave(spot.lower, spot.node);
    steps_.leave(moved->lower);
    if (!steps_.place(moved, spot))
      fail(spot.path, "was renamed from another file system; copy it");
  }

  /// A directory of the lower's own attributes.
  void directory_itself(Node* node, const std::string& path, Object* dir) {
    const bool mine = selection_.has(path);
    if (!mine || !node->merged()) return;
    Attributes want = attributes_of(dir->attr);
    const Attr& shown = groups_.shown(node);
    const Attributes view = attributes_of(shown);
    const auto& origin = node->meta->origin;
    if (node->meta->changed) {
      const bool owned = view.uid == want.uid && view.gid == want.gid;
      want.mode = view.mode;
      if (!owned || want.mode != attributes_of(dir->attr).mode || !same_xattrs(path, dir)) {
        InPlace in = in_place(path, dir, view);
        in.with_xattrs = true;
        in.xattrs_after = upper_xattrs(path);
        plan_.record.in_place.push_back(std::move(in));
      }
    }
    // Its time is that of the view where names came and went there, else that from before.
    if (!origin || file_time(shown.stx_mtime) != origin->mtime) {
      want.atime = view.atime;
      want.mtime = view.mtime;
    }
    steps_.finish_as(dir, want);
  }

  bool same_xattrs(const std::string& path, const Object* dir) {
    return upper_xattrs(path) == lower_xattrs(path, dir);
  }

  InPlace::Xattrs upper_xattrs(const std::string& path) {
    const auto dir = upper_.parent(path);
    return known(path, dir ? read_own_xattrs_at((*dir)->get(), leaf_of(path)) : dir.error());
  }
  InPlace::Xattrs lower_xattrs(const std::string& path, const Object* object) {
    return known(path, steps_.xattrs(object));
  }
  InPlace::Xattrs known(const std::string& path, Result<InPlace::Xattrs> xattrs) {
    if (xattrs) return std::move(*xattrs);
    fail(path, "its extended attributes: " + xattrs.error().message());
    return {};
  }

  /// `plain`: it has no extended attributes.
  InPlace in_place(const std::string& path, Object* object, const Attributes& after,
                   bool plain = false) {
    InPlace out;
    out.path = object->lower;
    out.show = view_.view_path(path);
    out.before = attributes_of(object->attr);
    out.after = after;
    out.stamp = object->stamp;
    if (!plain) out.xattrs_before = lower_xattrs(path, object);
    object->stamp.only_ino = true;
    return out;
  }

  size_t make(Node* node, const Spot& spot) {
    const size_t number = plan_.items.size();
    Item& item = plan_.items.emplace_back();
    item.end = number + 1;
    item.name = node->name;
    item.path = spot.path;
    if (node->state == Node::State::kUpper) item.attr = groups_.shown(node);
    if (spot.dir != nullptr) {
      item.dir = spot.dir;
      steps_.come(spot, number);
    }
    const bool closed = (item.attr.stx_mode & S_IRWXU) != S_IRWXU;
    if (S_ISDIR(item.attr.stx_mode) && closed) steps_.keep_open(number);
    return number;
  }

  void file(Node* node, const Spot& spot) {
    if (!selection_.has(spot.path)) return;
    if (node->state == Node::State::kRef) {
      reference(node, spot);
      return;
    }
    Group* group = groups_.of(node);
    const std::string& redirect = node->meta ? node->meta->redirect : no_redirect_;
    const Object* there = spot.dir == nullptr ? nullptr : steps_.lower(spot.lower, spot.node);
    const bool unchanged = there != nullptr && changed_.count(spot.path) == 0;
    if (group != nullptr && !group->kept.empty()) {
      const Object* kept = steps_.lower(group->kept);
      const bool home = redirect.empty() && there != nullptr && kept != nullptr &&
                        there->stamp.ino == kept->stamp.ino;
      if (!home) {
        Item& item = plan_.items[make(node, spot)];
        item.from = Item::From::kKept;
        item.kept = group->kept;
        if (kept != nullptr) plan_.record.linked.push_back(kept->stamp.ino);
      }
    } else if (!unchanged || (group != nullptr && group->members.size() > 1)) {
      const size_t number = make(node, spot);
      Item& item = plan_.items[number];
      item.may_link = group != nullptr ? group->linkable : false;
      if (group != nullptr && group->first == SIZE_MAX) {
        group->first = number;
      } else if (group != nullptr) {
        item.from = Item::From::kItem;
        item.other = group->first;
      }
      item.alone = group != nullptr && group->members.size() == 1;
      if (group != nullptr && item.from == Item::From::kUpper) lock(item.path, group->mode);
    }
    if (!redirect.empty() && gone_from_home(redirect)) steps_.leave(redirect);
  }

  void lock(const std::string& path, uint32_t mode) {
    if (S_ISREG(mode) && (mode & S_IRUSR) == 0) plan_.record.locked.push_back({path, mode & 07777});
  }

  /// The lower's own node under this name.
  void reference(Node* node, const Spot& spot) {
    const std::string& redirect = node->meta->redirect;
    Object* source = steps_.lower(redirect.empty() ? spot.lower : redirect);
    if (source == nullptr) {
      fail(spot.path, "is gone underneath, and the layer has no copy of it");
      return;
    }
    if (node->meta->changed) {
      Attributes want = attributes_of(source->attr);
      if (node->meta->mode) want.mode = (want.mode & S_IFMT) | *node->meta->mode;
      if (node->meta->uid) want.uid = *node->meta->uid;
      if (node->meta->gid) want.gid = *node->meta->gid;
      plan_.record.in_place.push_back(in_place(spot.path, source, want));
    }
    if (redirect.empty()) return;
    if (gone_from_home(redirect) && claimed_.insert(redirect).second) {
      move(source, spot);
      return;
    }
    const size_t number = make(node, spot);
    plan_.items[number].attr = source->attr;
    plan_.items[number].from = Item::From::kKept;
    plan_.items[number].kept = redirect;
    plan_.record.linked.push_back(source->stamp.ino);
  }

  /// Files that stay the inodes they are, and get content or attributes.
  void keep_inodes() {
    for (const auto& [ino, group] : groups_.all()) {
      if (group.kept.empty() || (!group.content && !group.metadata)) continue;
      Object* object = steps_.lower(group.kept);
      if (object == nullptr) continue;
      const Node* node = group.members[0];
      const std::string path = Index::path_of(node);
      const bool home = Index::lower_path_of(node) == group.kept;
      const bool plain = home && view_.survey.plain(node);
      InPlace in = in_place(path, object, attributes_of(groups_.shown(node)), plain);
      if (!plain) in.xattrs_after = upper_xattrs(path);
      in.with_xattrs = in.xattrs_after != in.xattrs_before;
      if (group.content) {
        in.upper = path;
        steps_.back_up(object, &in);
        lock(path, group.mode);
      }
      plan_.record.in_place.push_back(std::move(in));
    }
  }

  const std::string no_redirect_;
  LayerView& view_;
  const Selection& selection_;
  const std::vector<NodeChange>& changes_;
  Tree upper_;
  Groups groups_;
  CommitPlan& plan_;
  Steps steps_;
  std::set<std::string> changed_;
  std::set<std::string> claimed_;  ///< lower paths of references that move
  std::string error_;
};

}  // namespace

std::string plan_commit(LayerView* view, const Selection& selection,
                        const std::vector<NodeChange>& changes, Tree* lower, CommitPlan* plan) {
  plan->record.rest = selection.rest();
  plan->record.decisions = selection.decisions();
  return Planner(view, selection, changes, lower, plan).run();
}

}  // namespace viewsh::viewfs

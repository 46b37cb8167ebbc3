#include "commit_groups.h"

#include <unistd.h>

#include "cow_host.h"
#include "same_content.h"

namespace viewsh::viewfs {

void override_shown(const Node& node, Attr* attr) {
  const Meta* meta = node.meta.get();
  if (meta == nullptr) return;
  if (meta->mode) attr->stx_mode = static_cast<uint16_t>((attr->stx_mode & S_IFMT) | *meta->mode);
  if (meta->uid) attr->stx_uid = *meta->uid;
  if (meta->gid) attr->stx_gid = *meta->gid;
}

std::string Groups::add(Node* node) {
  if (node->state != Node::State::kUpper) return {};
  const std::string path = Index::path_of(node);
  const bool meant = selection_.has(path);
  const bool partial = !selection_.all();
  if (!meant && !(node->is_dir() ? selection_.touches(path) : partial)) return {};
  const auto known = view_.survey.upper(node);
  auto attr = known ? Result<Attr>(*known) : upper_.lstat(path);
  if (!attr) return view_.view_path(path) + ": " + attr.error().message();
  const bool file = !S_ISDIR(attr->stx_mode);
  if (file && meant) {
    Group& group = groups_[attr->stx_ino];
    group.members.push_back(node);
    group.mode = attr->stx_mode;
    const Meta* meta = node->meta.get();
    const bool overridden =
        meta != nullptr &&
        ((meta->mode && *meta->mode != (attr->stx_mode & 07777u)) ||
         (meta->uid && *meta->uid != attr->stx_uid) || (meta->gid && *meta->gid != attr->stx_gid));
    group.overridden = group.overridden || overridden;
    group.linkable =
        !group.overridden && selection_.whole() && attr->stx_nlink == group.members.size();
  } else if (file && attr->stx_nlink > 1) {
    unselected_.emplace(attr->stx_ino, path);
  }
  override_shown(*node, &*attr);
  if (meant || node->is_dir()) shown_.emplace(node, *attr);
  return {};
}

/// The lower path that a copied-up file came from; empty: it didn't.
std::string Groups::home_of(const Node& node) {
  if (!node.meta || !node.meta->origin) return {};
  if (!node.meta->redirect.empty()) return node.meta->redirect;
  return node.parent->merged() ? Index::lower_path_of(&node) : std::string();
}

/// A name that was added by link(2) tells nothing of what became of the file.
void Groups::compare(Group* group, const std::string& home, const Attr& now) {
  const Attr& shown = shown_.at(group->members[0]);
  const std::string old = view_.lower_host(home);
  const std::string path = view_.upper_host(Index::path_of(group->members[0]));
  const bool times = file_time(now.stx_mtime) != file_time(shown.stx_mtime);
  if (!group->content) {
    const Node* node = group->members[0];
    const bool here = Index::lower_path_of(node) == home;
    const auto known = here ? view_.survey.same_content(node) : std::nullopt;
    group->content = known ? !*known : !same_content(old, path);
  }
  group->metadata = group->metadata || times || now.stx_mode != shown.stx_mode ||
                    now.stx_uid != shown.stx_uid || now.stx_gid != shown.stx_gid ||
                    !same_xattrs(read_xattrs(LongPath(old)), read_xattrs(LongPath(path)));
}

void Groups::settle(Group* group, const std::map<std::string, const Change*>& changes) {
  std::string home;
  const LowerState* origin = nullptr;
  Attr now{};
  for (const Node* node : group->members) {
    const auto change = changes.find(Index::path_of(node));
    if (change != changes.end() && change->second->kind != Change::Kind::kAdded) {
      group->content |= change->second->content;
      group->metadata |= change->second->metadata;
    }
    const std::string path = home_of(*node);
    if (path.empty() || !home.empty()) continue;
    const auto known = node->meta->redirect.empty() ? view_.survey.lower(node) : std::nullopt;
    const auto attr = known ? *known : lower_.lstat(path);
    if (!attr || attr->stx_ino != node->meta->origin->ino) continue;
    if (type_of_mode(attr->stx_mode) != node->type) continue;
    if (dev_of(*attr) != node->meta->origin->dev) continue;
    home = path;
    origin = &*node->meta->origin;
    now = *attr;
  }
  if (home.empty()) return;
  const Attr& shown = shown_.at(group->members[0]);
  if ((shown.stx_mode & S_IFMT) != (now.stx_mode & S_IFMT)) return;
  compare(group, home, now);
  const uid_t me = geteuid();
  const bool foreign = me != 0 && now.stx_uid != me && shown.stx_uid == now.stx_uid;
  const bool elsewhere = view_.index.linked().count({origin->dev, origin->ino}) != 0;
  const bool writable = S_ISREG(now.stx_mode);
  if ((writable && (foreign || elsewhere)) || !group->content) group->kept = home;
}

std::string Groups::collect(const std::vector<NodeChange>& changes) {
  std::string error;
  view_.index.each([&](Node* node) {
    if (error.empty()) error = add(node);
  });
  if (!error.empty()) return error;
  std::map<std::string, const Change*> by_path;
  for (const NodeChange& c : changes) by_path[c.path] = &c.change;
  for (auto& [ino, group] : groups_) {
    const auto other = unselected_.find(ino);
    if (other != unselected_.end()) {
      return view_.view_path(Index::path_of(group.members[0])) + ": is the same file as " +
             view_.view_path(other->second) + "; name that, too";
    }
    settle(&group, by_path);
  }
  return {};
}

Group* Groups::of(const Node* node) {
  const auto attr = shown_.find(node);
  if (attr == shown_.end() || S_ISDIR(attr->second.stx_mode)) return nullptr;
  const auto it = groups_.find(attr->second.stx_ino);
  return it == groups_.end() ? nullptr : &it->second;
}

}  // namespace viewsh::viewfs

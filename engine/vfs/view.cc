#include "vfs/view.h"

#include <algorithm>

#include "base/path.h"
#include "viewsh/constant.h"

namespace viewsh {

bool Mount::is_constant() const {
  const auto* constant = dynamic_cast<const Constant*>(fs.get());
  return constant != nullptr && constant->is_constant();
}

View::View(std::shared_ptr<const Mount> root) {
  root_.mount = root;
  entries_.push_back({root, std::nullopt});
  order_.push_back(std::move(root));
}

void View::copy(const Node& from, Node* to) {
  to->mount = from.mount;
  to->names = from.names;
  for (const auto& [name, child] : from.children) {
    auto copied = std::make_unique<Node>();
    copy(*child, copied.get());
    to->children.emplace(name, std::move(copied));
  }
}

std::shared_ptr<View> View::with(std::shared_ptr<const Mount> mount,
                                 std::optional<MountName> name) const {
  auto made = std::make_shared<View>(order_[0]);
  copy(root_, &made->root_);
  made->entries_ = entries_;
  made->order_ = order_;
  made->add({std::move(mount), std::move(name)});
  return made;
}

std::shared_ptr<View> View::of(const std::vector<Entry>& entries) {
  auto made = std::make_shared<View>(entries.front().mount);
  for (size_t i = 1; i < entries.size(); ++i) made->add(entries[i]);
  return made;
}

void View::add(const Entry& entry) {
  const auto& [mount, name] = entry;
  Node* node = &root_;
  Node* parent = nullptr;
  for (std::string_view part : components(mount->at)) {
    auto it = node->children.find(part);
    if (it == node->children.end()) {
      it = node->children.emplace(std::string(part), std::make_unique<Node>()).first;
    }
    parent = node;
    node = it->second.get();
  }
  node->children.clear();
  node->names.clear();
  node->mount = mount;
  if (parent != nullptr && name) {
    std::erase_if(parent->names, [&](const MountName& old) { return old.name == name->name; });
    parent->names.push_back(*name);
  }
  std::erase_if(order_, [&](const auto& old) { return is_at_or_below(old->at, mount->at); });
  order_.push_back(mount);
  entries_.push_back(entry);
}

const View::Node* View::node_at(std::string_view path) const {
  const Node* node = &root_;
  for (std::string_view part : components(path)) {
    auto it = node->children.find(part);
    if (it == node->children.end()) return nullptr;
    node = it->second.get();
  }
  return node;
}

Location View::locate(std::string_view path) const {
  const Node* node = &root_;
  std::shared_ptr<const Mount> mount = root_.mount;
  size_t i = 0;
  size_t below = 0;
  while (i < path.size()) {
    if (path[i] == '/') {
      ++i;
      continue;
    }
    size_t end = std::min(path.find('/', i), path.size());
    auto it = node->children.find(path.substr(i, end - i));
    if (it == node->children.end()) break;
    node = it->second.get();
    i = end;
    if (node->mount) {
      mount = node->mount;
      below = end;
    }
  }
  std::string_view rest = path.substr(below);
  if (!rest.empty() && rest[0] == '/') rest.remove_prefix(1);
  return {std::move(mount), std::string(rest)};
}

namespace {

bool any_mount(const View::Node& node) {
  return node.mount || std::any_of(node.children.begin(), node.children.end(),
                                   [](const auto& child) { return any_mount(*child.second); });
}

}  // namespace

bool View::has_mount_at_or_below(std::string_view path) const {
  const Node* node = node_at(path);
  return node != nullptr && any_mount(*node);
}

bool View::is_mount_point(std::string_view path) const {
  const Node* node = node_at(path);
  return node != nullptr && node->mount;
}

std::optional<std::string> View::reverse(const std::string& host) const {
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    std::optional<std::string> inner = (*it)->fs->reverse(host);
    if (!inner) continue;
    std::string path = join_path((*it)->at, *inner);
    if (order_.size() == 1 || locate(path).mount == *it) return path;
  }
  return std::nullopt;
}

bool View::owns(const std::string& host, const struct stat& object, bool aliases) const {
  // Where everything may be changed as it is, it doesn't matter which place it was.
  aliases = aliases && std::any_of(order_.begin(), order_.end(), [](const auto& mount) {
              bool plain = mount->fs->transparent() && !mount->fs->read_only();
              return !plain && mount->type != "hide";  // which has no nodes
            });
  return std::any_of(order_.begin(), order_.end(), [&](const auto& mount) {
    if (aliases && mount->fs->transparent()) return false;
    std::optional<std::string> path = mount->fs->own_path(host, object);
    return path && locate(join_path(mount->at, *path)).mount == mount;
  });
}

std::optional<std::string> View::place_of(const std::string& host,
                                          const struct stat& object) const {
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    std::optional<std::string> inner = (*it)->fs->own_path(host, object);
    if (!inner) continue;
    std::string path = join_path((*it)->at, *inner);
    if (locate(path).mount == *it) return path;
  }
  return std::nullopt;
}

std::optional<std::string> View::shown_at(const Attr& object) const {
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    std::optional<std::string> inner = (*it)->fs->shown_at(object);
    if (!inner) continue;
    std::string path = join_path((*it)->at, *inner);
    if (locate(path).mount == *it) return path;
  }
  return std::nullopt;
}

bool View::fix_attr(Attr* attr) const {
  return std::any_of(order_.rbegin(), order_.rend(),
                     [attr](const auto& mount) { return mount->fs->fix_attr(attr); });
}

bool View::mark_attr(AttrMarks* marks) const {
  return std::all_of(order_.begin(), order_.end(),
                     [marks](const auto& mount) { return mount->fs->mark_attr(marks); });
}

bool View::mark_names(NameMarks* names) const {
  if (!root_.mount->fs->mark_names(names)) return false;
  for (const auto& mount : order_) names->mark_name(std::string_view(mount->at).substr(1));
  return true;
}

bool View::shows_host(const std::string& path) const {
  const Location here = locate(path);
  return here.mount == root_.mount && here.mount->fs->shows_host(here.path);
}

bool View::fixes_attr() const {
  return std::any_of(order_.begin(), order_.end(),
                     [](const auto& mount) { return mount->fs->fixes_attr(); });
}

}  // namespace viewsh

#include "transfer_build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cow_host.h"
#include "deep_path.h"

namespace viewsh::viewfs {
namespace {

std::string check_path(const std::string& path) {
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view name = next_component(&rest);
    if (name == "..") return path + ": a path with '..' leads out of the layer";
    if (name.empty() || name == ".") return path + ": not a plain path";
    if (name.size() > 255) return path + ": a name in it is longer than 255 bytes";
  }
  return {};
}

const char* kind_of(NodeType type) {
  return type == NodeType::kSymlink ? "a symbolic link" : "not a directory";
}

}  // namespace

LayerBuilder::LayerBuilder(Layer* layer, TransferMeter* meter)
    : layer_(*layer), meter_(*meter), tree_(layer->upper_fd(), meter) {
  root_ = std::make_unique<Item>();
  root_->present = true;
  root_->type = NodeType::kDirectory;
}

LayerBuilder::~LayerBuilder() {
  // A tree may be deeper than the stack would take.
  std::vector<std::unique_ptr<Item>> todo;
  todo.push_back(std::move(root_));
  while (!todo.empty()) {
    const std::unique_ptr<Item> item = std::move(todo.back());
    todo.pop_back();
    for (auto& [name, child] : item->children) todo.push_back(std::move(child));
  }
}

std::string LayerBuilder::start() {
  lower_.reset(open(layer_.lower().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lower_) return {};
  return layer_.lower() + ", which the layer is for: " + strerror(errno);
}

std::string LayerBuilder::path_of(const Item& item) {
  std::vector<const Item*> chain;
  for (const Item* i = &item; i->parent != nullptr; i = i->parent) chain.push_back(i);
  std::string out;
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    if (!out.empty()) out += '/';
    out += (*it)->name;
  }
  return out;
}

LayerBuilder::Item* LayerBuilder::make_child(Item* dir, std::string_view name) {
  const auto known = dir->children.find(name);
  if (known != dir->children.end()) return known->second.get();
  auto item = std::make_unique<Item>();
  item->parent = dir;
  item->name = name;
  return dir->children.emplace(std::string(name), std::move(item)).first->second.get();
}

std::string LayerBuilder::imply_dir(Item* item, const std::string& path) {
  if (!item->whiteout) {
    // What isn't said to be there is what the lower has.
    const auto lower = lstat_deep(lower_.get(), path);
    if (lower && !S_ISDIR(lower->stx_mode)) {
      return told(path) + ": is " + kind_of(type_of_mode(lower->stx_mode)) +
             " below the layer, and the archive has names in it";
    }
  }
  TransferNode node;
  node.path = path;
  node.attr.stx_mode = S_IFDIR;
  if (std::string error = tree_.make(node, nullptr, &item->kept); !error.empty()) return error;
  item->present = true;
  item->type = NodeType::kDirectory;
  return {};
}

LayerBuilder::Item* LayerBuilder::dir_for(std::string_view path, std::string* error) {
  Item* item = root_.get();
  std::string_view rest = path;
  while (!rest.empty()) {
    item = make_child(item, next_component(&rest));
    if (item->is_dir()) continue;
    const std::string here(path.substr(0, path.size() - rest.size() - (rest.empty() ? 0 : 1)));
    *error = item->present
                 ? told(path) + ": goes through " + told(here) + ", which is " + kind_of(item->type)
                 : imply_dir(item, here);
    if (!error->empty()) return nullptr;
  }
  return item;
}

std::string LayerBuilder::add_dir(const TransferNode& node) {
  std::string error;
  Item* item = root_.get();
  if (!node.path.empty()) {
    Item* dir = dir_for(parent_of(node.path), &error);
    if (dir == nullptr) return error;
    item = make_child(dir, name_of(node.path));
  }
  if (item->present && !item->is_dir())
    return told(node.path) + ": comes twice, as different things";
  if (!item->present) {
    if (error = tree_.make(node, nullptr, &item->kept); !error.empty()) return error;
  }
  item->present = true;
  item->type = NodeType::kDirectory;
  item->node = std::make_unique<TransferNode>(node);
  return {};
}

std::string LayerBuilder::find_link(const TransferNode& node, const Item** target) const {
  if (std::string error = check_path(node.link); !error.empty()) return error;
  const Item* item = root_.get();
  for (std::string_view rest = node.link; !rest.empty() && item != nullptr;) {
    const auto child = item->children.find(next_component(&rest));
    item = child == item->children.end() ? nullptr : child->second.get();
  }
  if (item == nullptr || !item->present || item->is_dir() || node.link == node.path) {
    return told(node.path) + ": is another name of " + told(node.link) +
           ", and no file of that name comes before it";
  }
  *target = item;
  return {};
}

std::string LayerBuilder::node(const TransferNode& node, Content* content) {
  if (std::string error = check_path(node.path); !error.empty()) return error;
  NodeType type = type_of_mode(node.attr.stx_mode);
  if (type == NodeType::kDirectory && node.link.empty()) {
    if (std::string error = add_dir(node); !error.empty()) return error;
    return meter_.step(1, 0);
  }
  std::string error;
  if (type == NodeType::kChar || type == NodeType::kBlock) {
    return told(node.path) + ": a device node, which a layer can't take in";
  }
  if (node.path.empty()) return "/: not a directory";
  const Item* target = nullptr;
  if (!node.link.empty()) {
    if (error = find_link(node, &target); !error.empty()) return error;
    type = target->type;
  }
  Item* dir = dir_for(parent_of(node.path), &error);
  if (dir == nullptr) return error;
  Item* item = make_child(dir, name_of(node.path));
  if (item->is_dir()) return told(node.path) + ": comes twice, as different things";
  if (item->present && !(error = tree_.remove(node.path)).empty()) return error;
  if (!(error = tree_.make(node, content, &item->kept)).empty()) return error;
  item->present = true;
  item->type = type;
  item->node = std::make_unique<TransferNode>(node);
  item->node->xattrs.clear();
  item->node->target.clear();
  if (target != nullptr) item->node->attr = target->node->attr;
  return meter_.step(1, 0);
}

std::string LayerBuilder::whiteout(const std::string& path) {
  if (path.empty()) return "/: can't be deleted";
  if (std::string error = check_path(path); !error.empty()) return error;
  std::string error;
  Item* dir = dir_for(parent_of(path), &error);
  if (dir == nullptr) return error;
  make_child(dir, name_of(path))->whiteout = true;
  meter_.whiteout();
  return meter_.step(0, 0);
}

std::string LayerBuilder::opaque(const std::string& path) {
  if (std::string error = check_path(path); !error.empty()) return error;
  std::string error;
  Item* item = dir_for(path, &error);
  if (item == nullptr) return error;
  item->opaque = true;
  return meter_.step(0, 0);
}

}  // namespace viewsh::viewfs

#include "disk.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

namespace viewsh::crash {

void Disk::apply(const Op& op) {
  using Kind = Op::Kind;
  switch (op.kind) {
    case Kind::kMake: {
      Node& node = nodes[op.node];
      node.mode = op.attr.stx_mode;
      node.attr = op.attr;
      node.text = op.data;
      nodes[op.dir].names[op.name] = op.node;
      break;
    }
    case Kind::kLink:
      nodes[op.dir].names[op.name] = op.node;
      break;
    case Kind::kRemove:
      nodes[op.dir].names.erase(op.name);
      break;
    case Kind::kRename: {
      const Id moved = nodes[op.dir].names[op.name];
      if (nodes[op.to_dir].names[op.to_name] == moved) {
        if (op.dir == op.to_dir && op.name == op.to_name) break;
        break;  // two names of one file: rename(2) does nothing
      }
      nodes[op.dir].names.erase(op.name);
      nodes[op.to_dir].names[op.to_name] = moved;
      break;
    }
    case Kind::kExchange:
      std::swap(nodes[op.dir].names[op.name], nodes[op.to_dir].names[op.to_name]);
      break;
    case Kind::kWrite: {
      std::string& content = nodes[op.node].content;
      if (content.size() < op.offset + op.data.size()) content.resize(op.offset + op.data.size());
      content.replace(op.offset, op.data.size(), op.data);
      break;
    }
    case Kind::kTruncate:
      nodes[op.node].content.resize(op.offset);
      nodes[op.node].durable.resize(std::min<size_t>(nodes[op.node].durable.size(), op.offset));
      break;
    case Kind::kSync:
      nodes[op.node].durable = nodes[op.node].content;
      break;
    case Kind::kSyncAll:
      for (auto& [id, node] : nodes) node.durable = node.content;
      break;
    case Kind::kAttr:
      break;
  }
  for (const Op::After& after : op.attrs) {
    nodes[after.node].attr = after.attr;
    nodes[after.node].mode = after.attr.stx_mode;
    nodes[after.node].xattrs = after.xattrs;
  }
}

bool Disk::unsynced(Id id) const {
  const auto it = nodes.find(id);
  return it != nodes.end() && it->second.content != it->second.durable;
}

std::string Disk::path_of(Id id) const {
  if (id == root) return "";
  for (const auto& [dir, node] : nodes) {
    for (const auto& [name, child] : node.names) {
      if (child != id) continue;
      const std::string above = dir == root ? "" : path_of(dir);
      if (dir != root && above.empty()) continue;  // of a directory that is gone
      return above.empty() ? name : above + "/" + name;
    }
  }
  return "";
}

void Disk::make_node(Id id, const std::string& path, const std::function<bool(Id)>& keeps,
                     std::map<Id, std::string>* done, std::vector<Made>* made) const {
  const Node& node = nodes.at(id);
  const char* name = path.c_str();
  if (const auto old = done->find(id); old != done->end()) {
    (void)!link(old->second.c_str(), name);
    return;
  }
  (*done)[id] = path;
  if (S_ISDIR(node.mode)) {
    (void)!mkdir(name, 0700);
    for (const auto& [child, child_id] : node.names) {
      make_node(child_id, path + "/" + child, keeps, done, made);
    }
  } else if (S_ISLNK(node.mode)) {
    (void)!symlink(node.text.c_str(), name);
  } else if (S_ISREG(node.mode)) {
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const std::string& content = keeps(id) ? node.content : node.durable;
    if (fd >= 0) {
      (void)!write(fd, content.data(), content.size());
      close(fd);
    }
  } else {
    (void)!mknod(name, (node.mode & S_IFMT) | 0600, 0);
  }
  for (const auto& [key, value] : node.xattrs) {
    lsetxattr(name, key.c_str(), value.data(), value.size(), 0);
  }
  if (!S_ISLNK(node.mode)) (void)!chmod(name, node.mode & 07777);
  const timespec times[2] = {
      {node.attr.stx_atime.tv_sec, static_cast<long>(node.attr.stx_atime.tv_nsec)},
      {node.attr.stx_mtime.tv_sec, static_cast<long>(node.attr.stx_mtime.tv_nsec)}};
  utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW);
  struct stat st {};
  if (lstat(name, &st) == 0) made->push_back({st.st_ino, id, node.attr});
}

std::vector<Disk::Made> Disk::make(const std::string& root_path,
                                   const std::function<bool(Id)>& keeps) const {
  std::vector<Made> made;
  std::map<Id, std::string> done;
  make_node(root, root_path, keeps, &done, &made);
  return made;
}

}  // namespace viewsh::crash

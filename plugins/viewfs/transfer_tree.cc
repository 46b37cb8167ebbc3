#include "transfer_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"
#include "deep_path.h"

namespace viewsh::viewfs {
namespace {

std::string why() { return strerror(errno); }

std::string write_piece(int fd, const Content::Piece& piece) {
  const char* data = static_cast<const char*>(piece.data);
  for (size_t done = 0; done < piece.size;) {
    const ssize_t n =
        pwrite(fd, data + done, piece.size - done, static_cast<off_t>(piece.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return why();
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace

std::string write_content(int fd, const Attr& attr, Content* content, TransferMeter* meter) {
  constexpr uint64_t kCopiedAtOnce = 64
                                     << 20;  // larger ones go in steps that can be told and ended
  if (content->fd() >= 0 && attr.stx_size <= kCopiedAtOnce) {
    const auto done = copy_data(content->fd(), fd, attr);
    return done ? meter->step(0, attr.stx_size) : done.error().message();
  }
  for (Content::Piece piece;;) {
    if (std::string error = content->next(&piece); !error.empty()) return error;
    if (piece.size == 0) break;
    if (piece.offset + piece.size > attr.stx_size) return "its data is longer than its size";
    if (std::string error = write_piece(fd, piece); !error.empty()) return error;
    if (std::string error = meter->step(0, piece.size); !error.empty()) return error;
  }
  return ftruncate(fd, static_cast<off_t>(attr.stx_size)) < 0 ? why() : std::string();
}

int TreeMaker::dir(std::string_view path) {
  if (dir_ && dir_path_ == path) return dir_.get();
  dir_ = open_deep(root_, path);
  dir_path_ = path;
  return dir_.get();
}

std::string TreeMaker::make_file(int dir_fd, const std::string& name, const TransferNode& node,
                                 Content* content) {
  UniqueFd fd(openat(dir_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return why();
  return write_content(fd.get(), node.attr, content, meter_);
}

std::string TreeMaker::make(const TransferNode& node, Content* content, Kept* kept) {
  const int at = dir(parent_of(node.path));
  const std::string name(name_of(node.path));
  if (at < 0) return told(node.path) + ": " + why();
  const mode_t type = node.attr.stx_mode & S_IFMT;
  int rc = 0;
  std::string error;
  if (!node.link.empty()) {
    const UniqueFd from = open_deep(root_, parent_of(node.link));
    rc = from ? linkat(from.get(), std::string(name_of(node.link)).c_str(), at, name.c_str(), 0)
              : -1;
  } else if (type == S_IFREG) {
    error = make_file(at, name, node, content);
  } else if (type == S_IFDIR) {
    rc = mkdirat(at, name.c_str(), 0700);
  } else if (type == S_IFLNK) {
    rc = symlinkat(node.target.c_str(), at, name.c_str());
  } else {
    const dev_t dev = makedev(node.attr.stx_rdev_major, node.attr.stx_rdev_minor);
    rc = mknodat(at, name.c_str(), type | 0600, dev);
  }
  if (rc < 0) error = why();
  if (!error.empty()) return error == "interrupted" ? error : told(node.path) + ": " + error;
  if (!node.link.empty() || type == S_IFDIR) return {};
  set_xattrs(at, name, node);
  const CopiedAttr copied = copy_attr(at, name, node.attr, 0);
  *kept = {copied.owner, copied.mode};
  return {};
}

std::string TreeMaker::remove(const std::string& path) {
  const int at = dir(parent_of(path));
  if (at >= 0 && unlinkat(at, std::string(name_of(path)).c_str(), 0) == 0) return {};
  return told(path) + ": " + why();
}

void TreeMaker::set_xattrs(int dir_fd, const std::string& name, const TransferNode& node) {
  const LongPath at(dir_fd, name);
  for (const auto& [key, value] : node.xattrs) {
    if (lsetxattr(at.c_str(), key.c_str(), value.data(), value.size(), 0) < 0) {
      meter_->lost("the attribute " + key + " can't be kept: " + why(), node.path);
    }
  }
}

std::string TreeMaker::finish_dir(const TransferNode& node, mode_t extra, Kept* kept) {
  const UniqueFd fd = open_deep(root_, node.path);
  if (!fd) return told(node.path) + ": " + why();
  set_xattrs(fd.get(), ".", node);
  const CopiedAttr copied = copy_attr(fd.get(), ".", node.attr, extra);
  *kept = {copied.owner, copied.mode};
  return {};
}

}  // namespace viewsh::viewfs

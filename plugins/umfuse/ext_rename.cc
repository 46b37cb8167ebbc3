#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// Directories on the way to the root: more than any path has.
constexpr unsigned kMaxDepth = 1u << 20;

}  // namespace

/// What is moved, and what is there already.
struct ExtImage::Move {
  NodeId from_directory;
  std::string_view from;
  NodeId to_directory;
  std::string_view to;
  NodeId node = 0;
  ExtInode inode;
  NodeId victim = 0;  ///< 0: none
  ExtInode victim_inode;

  bool moves_directory() const { return S_ISDIR(inode.i_mode); }
  bool meets_directory() const { return victim != 0 && S_ISDIR(victim_inode.i_mode); }
  bool crosses() const { return from_directory != to_directory; }
};

/// EINVAL: `directory` is inside `moved`.
Result<void> ExtImage::check_ancestor(NodeId moved, NodeId directory) {
  for (unsigned depth = 0; depth < kMaxDepth; ++depth) {
    if (directory == moved) return Errno(EINVAL);
    if (directory == EXT2_ROOT_INO) return {};
    TRY_ASSIGN(const NodeId above, dirs_->parent(directory));
    if (above == directory) return Errno(EUCLEAN);
    directory = above;
  }
  return Errno(EUCLEAN);
}

Result<void> ExtImage::check_move(const Move& move, unsigned flags) {
  TRY_ASSIGN(const ExtInode from, directory(move.from_directory));
  TRY_ASSIGN(const ExtInode to, directory(move.to_directory));
  TRY(check_removable(from, move.inode));
  if (to.i_links_count == 0) return Errno(ENOENT);
  if (to.i_flags & EXT2_IMMUTABLE_FL) return Errno(EPERM);
  if (move.victim != 0) TRY(check_removable(to, move.victim_inode));
  if (move.moves_directory()) TRY(check_ancestor(move.node, move.to_directory));
  const bool exchanges = (flags & RENAME_EXCHANGE) != 0;
  if (exchanges) {
    if (move.meets_directory()) TRY(check_ancestor(move.victim, move.from_directory));
  } else if (move.victim != 0) {
    if (move.moves_directory() && !move.meets_directory()) return Errno(ENOTDIR);
    if (!move.moves_directory() && move.meets_directory()) {
      // rename(2): a directory that holds what is moved is as full as any.
      return Errno(EISDIR);
    }
    if (move.meets_directory()) {
      TRY_ASSIGN(const bool empty, dirs_->empty(move.victim));
      if (!empty) return Errno(ENOTEMPTY);
    }
  }
  const bool one_more = move.moves_directory() && move.crosses() && !move.meets_directory();
  if (one_more && to.i_links_count >= EXT2_LINK_MAX &&
      !ext2fs_has_feature_dir_nlink(&fs_->super())) {
    return Errno(EMLINK);
  }
  return {};
}

Result<void> ExtImage::touch_change(NodeId id) {
  TRY_ASSIGN(ExtInode inode, fs_->load(id));
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  return fs_->store(id, inode);
}

Result<void> ExtImage::reparent(NodeId id, NodeId from, NodeId to) {
  TRY(dirs_->set_parent(id, to));
  TRY(change_links(from, -1));
  return change_links(to, +1);
}

Result<void> ExtImage::move(const Move& move) {
  // First the new name, which may not fit.
  if (move.victim != 0) {
    TRY(dirs_->replace(move.to_directory, move.to, move.node, move.inode.i_mode));
  } else {
    TRY(dirs_->add(move.to_directory, move.to, move.node, move.inode.i_mode));
  }
  TRY(dirs_->remove(move.from_directory, move.from));
  if (move.moves_directory() && move.crosses()) {
    TRY(reparent(move.node, move.from_directory, move.to_directory));
  }
  TRY(touch_change(move.node));
  if (move.victim == 0) return {};
  if (move.meets_directory()) TRY(change_links(move.to_directory, -1));
  return drop_link(move.victim);
}

Result<void> ExtImage::exchange(const Move& move) {
  TRY(dirs_->replace(move.to_directory, move.to, move.node, move.inode.i_mode));
  TRY(dirs_->replace(move.from_directory, move.from, move.victim, move.victim_inode.i_mode));
  if (move.crosses()) {
    if (move.moves_directory()) TRY(reparent(move.node, move.from_directory, move.to_directory));
    if (move.meets_directory()) {
      TRY(reparent(move.victim, move.to_directory, move.from_directory));
    }
  }
  TRY(touch_change(move.node));
  return touch_change(move.victim);
}

Result<void> ExtImage::rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                              std::string_view to, unsigned flags) {
  if (!fs_->writable()) return Errno(EROFS);
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
      flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
    return Errno(EINVAL);
  }
  if (from == "." || from == ".." || to == "." || to == "..") return Errno(EBUSY);
  Move move = {};
  move.from_directory = from_directory;
  move.from = from;
  move.to_directory = to_directory;
  move.to = to;
  TRY_ASSIGN(move.node, lookup(from_directory, from));
  TRY_ASSIGN(move.inode, judge(node(move.node)));
  const auto victim = lookup(to_directory, to);
  if (victim) {
    if (flags & RENAME_NOREPLACE) return Errno(EEXIST);
    if (*victim == move.node) return {};
    move.victim = *victim;
    TRY_ASSIGN(move.victim_inode, judge(node(move.victim)));
  } else {
    if (victim.error() != ENOENT) return victim.error();
    if (flags & RENAME_EXCHANGE) return Errno(ENOENT);
    TRY(check_new_name(to_directory, to));
  }
  TRY(judge(check_move(move, flags)));
  TRY(begin(0));
  return judge((flags & RENAME_EXCHANGE) ? exchange(move) : this->move(move));
}

}  // namespace viewsh

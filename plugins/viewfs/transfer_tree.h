#pragma once

#include <string>

#include "transfer.h"

namespace viewsh::viewfs {

/// Makes nodes below a directory of our own, by paths of any length.
class TreeMaker {
 public:
  TreeMaker(int root, TransferMeter* meter) : root_(root), meter_(meter) {}
  /// What of a node could not be set.
  struct Kept {
    bool owner = true;
    bool mode = true;
  };
  /// Makes what is not there yet, in a directory that is. A directory gets its attributes by
  /// finish_dir(), all others have them after this. Empty, or what went wrong.
  std::string make(const TransferNode& node, Content* content, Kept* kept);
  std::string remove(const std::string& path);
  /// `extra`: mode bits that it gets beside its own.
  std::string finish_dir(const TransferNode& node, mode_t extra, Kept* kept);
  /// The open directory at `path`; it belongs to this and lasts until the next call. Below 0:
  /// errno.
  int dir(std::string_view path);

 private:
  std::string make_file(int dir_fd, const std::string& name, const TransferNode& node,
                        Content* content);
  void set_xattrs(int dir_fd, const std::string& name, const TransferNode& node);

  int root_;
  TransferMeter* meter_;
  UniqueFd dir_;
  std::string dir_path_;
};

/// Writes content to an empty file, holes as holes.
std::string write_content(int fd, const Attr& attr, Content* content, TransferMeter* meter);

}  // namespace viewsh::viewfs

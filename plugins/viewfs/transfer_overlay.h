#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "transfer.h"
#include "transfer_tree.h"

namespace viewsh::viewfs {

/// Writes a layer as a directory that overlayfs takes as `upperdir`, mounted with `userxattr`.
/// Documentation/filesystems/overlayfs.rst.
class OverlayWriter final : public LayerSink {
 public:
  /// `root`: an empty directory.
  OverlayWriter(int root, TransferMeter* meter);
  std::string node(const TransferNode& node, Content* content) override;
  std::string whiteout(const std::string& path) override;
  std::string opaque(const std::string& path) override;
  std::string finish() override;

 private:
  std::string xattr_whiteout(int dir_fd, const std::string& name, const std::string& path);
  void tell_owner(const TransferNode& node, const TreeMaker::Kept& kept);

  int root_;
  TransferMeter& meter_;
  TreeMaker tree_;
  std::vector<TransferNode> dirs_;
  std::set<std::string> opaque_;
  std::set<std::string> xattr_dirs_;  ///< have whiteouts that are files with an attribute
};

/// Reads such a directory into `sink`. Empty, or what is wrong.
std::string read_overlay(int root, LayerSink* sink);

}  // namespace viewsh::viewfs

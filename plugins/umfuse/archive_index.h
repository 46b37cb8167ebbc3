#pragma once

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive_reader.h"
#include "archive_tree.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// The options of a mount that change what the nodes are. mount(8)
struct ArchiveOptions {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<mode_t> mode;   ///< of files, where the image knows no permissions
  std::optional<mode_t> dmode;  ///< of directories
  bool override_rock_ridge = false;
  uid_t own_uid = geteuid();  ///< the owner where the image knows none
  gid_t own_gid = getegid();
};

/// All that is learned of an archive by reading it once.
struct ArchiveIndex {
  std::string_view type;
  std::unique_ptr<ArchiveTree> tree;
  /// By ordinal: the node that has its content from this entry; 0: nobody.
  std::vector<NodeId> owners;
  uint64_t left_out = 0;        ///< entries that can't be shown
  uint64_t content = 0;         ///< bytes of all files
  uint64_t largest = 0;         ///< of one file
  bool skipping_costs = false;  ///< what is passed over has to be unpacked
};

/// Null: `error` says why, in the words after "TYPE: ".
std::unique_ptr<ArchiveIndex> read_archive_index(const ImageSource& source, std::string_view type,
                                                 const ArchiveOptions& options, MountError* error);

}  // namespace viewsh

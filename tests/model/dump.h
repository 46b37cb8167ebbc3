#pragma once

#include <string>

namespace viewsh_model {

struct DumpHow {
  /// Inodes, change times and blocks too: shows whether anything at all was written.
  bool exact = false;
  /// Modes are opened up first, so that nothing stays hidden; they aren't told then.
  bool unlock = false;
  /// Names, types, modes and links only: what one call changes at once.
  bool outline = false;
};

/// A tree as a sorted list of lines: name, type, mode, links, size, time, xattrs, content.
std::string dump(const std::string& root, const DumpHow& how);

/// What can't be in a tree whose links are all inside of it: link counts that aren't the number of
/// names. Empty: nothing.
std::string link_faults(const std::string& root);

/// Removes a tree, whatever modes it has.
void remove_tree(const std::string& root);

/// "" or the first differing lines of two texts.
std::string difference(const std::string& native, const std::string& view);

}  // namespace viewsh_model

#pragma once

#include <string>
#include <vector>

#include "cli/text.h"
#include "viewsh/layer.h"

namespace viewsh {

/// 'A' added, 'M' changed, 'D' deleted, 'R' renamed, 'T' of another type now.
char change_letter(const Change& change);
/// "M /etc/hosts", "R /old -> /new", "M /bin/x (mode, owner, times or attributes)"; a directory
/// ends in '/'.
std::string change_line(const Change& change, bool colour);
/// "1 added, 2 changed"; "no changes".
std::string change_counts(const std::vector<Change>& changes);
/// By path, parents before what is in them.
void sort_changes(std::vector<Change>* changes);
Json change_json(const Change& change);
/// Arguments of diff, commit and discard as absolute paths of the view.
std::vector<std::string> absolute_paths(const std::vector<std::string>& paths);

}  // namespace viewsh

#pragma once

#include <memory>

#include "viewsh/filesystem.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// `--merge A:B[:C...]:AT`: a union of directories. The first source that has a name wins;
/// directories that several have are merged. Read-only unless the option rw is given.
///
/// With rw, new names and changed files go to the first source (the directories on the way are made
/// there, a file of a later source is copied there before it is changed). There are no whiteouts:
/// what a later source has can't be removed or renamed (EROFS), nor can a name that several sources
/// have, since the next one would show (EROFS); a merged directory can't be renamed (EXDEV).
/// Null: `error` is filled.
std::shared_ptr<FileSystem> mount_merge(const MountRequest& request, Host& host, MountError* error);

}  // namespace viewsh

#pragma once

#include <memory>
#include <string>

#include "viewsh/filesystem.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// `--bind SRC:AT[:ro]`: a directory or a file of the view below, with what is mounted in it.
/// Null: `error` is filled.
std::shared_ptr<FileSystem> mount_bind(const MountRequest& request, Host& host, MountError* error);

/// Shows `inner` unchanged and answers every change with EROFS, in the order of errors that Linux
/// has for a read-only mount (an existing name is EEXIST to mkdir, not EROFS).
/// `type`: what type() says; empty: the inner one's.
std::shared_ptr<FileSystem> make_read_only(std::shared_ptr<FileSystem> inner, std::string type);

/// The subtree of the view below at an absolute path, for a mount's source. Null: `error` has
/// "SOURCE: why".
std::shared_ptr<FileSystem> open_source(const MountRequest& request, const std::string& source,
                                        MountError* error);

/// Checks that `options` has no key but these; the generic ones of mount(8) (rw, nosuid, nodev,
/// relatime...) are always fine. False: `error` names the first other one.
bool check_options(const MountRequest& request, std::initializer_list<std::string_view> known,
                   MountError* error);

/// The plan for a file system whose nodes are all the host's: the task opens the host object
/// with the flags that it gave.
Result<OpenPlan> plan_on_host(FileSystem& fs, const std::string& path, const OpenHow& how,
                              const Caller& caller);

}  // namespace viewsh

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "viewsh/plugin.h"

namespace viewsh {

/// Makes and ends file systems while a view runs.
class Mounter {
 public:
  virtual ~Mounter() = default;
  /// ENODEV: nobody knows the type, or it isn't one for mount(2).
  virtual Result<std::shared_ptr<FileSystem>> make(const MountRequest& request) = 0;
  /// A part of a file system as one of its own: `path` is a directory or file of it.
  virtual Result<std::shared_ptr<FileSystem>> bind(std::shared_ptr<FileSystem> fs,
                                                   const std::string& path, bool read_only) = 0;
  /// FileSystem::shutdown() of one that make() gave. What can't be written back then is lost: that
  /// is told, and counts when the view ends.
  virtual void end(const std::shared_ptr<FileSystem>& fs) = 0;
  /// An id that no other mount of the view has, or had.
  virtual int next_id() = 0;
  /// Types for mount(2), in the order in which they may be tried; those that take no source have
  /// `nodev`. filesystems(5)
  struct Type {
    std::string name;
    bool nodev = false;
  };
  virtual const std::vector<Type>& types() = 0;
};

}  // namespace viewsh

#pragma once

#include <fcntl.h>

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "outside/node_table.h"
#include "outside/served_tree.h"
#include "vfs/host_fs.h"
#include "vfs/view.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// An open file of a served tree.
class OpenNode final : public ServedFile {
 public:
  int fd() const override { return descriptor.get(); }
  bool appends() const override { return append; }

  UniqueFd descriptor;
  ServedNode* node = nullptr;
  std::shared_ptr<const Mount> mount;
  int flags = 0;  ///< of open(2)
  bool append = false;
  bool writes() const { return (flags & O_ACCMODE) != O_RDONLY; }
};

/// A view as a tree to be served. Where the system calls of a view's process are led to host
/// objects, here the file systems do all themselves, and a file is opened as they plan it: what
/// they do is the same in both.
class ViewTree final : public ServedTree {
 public:
  ViewTree(std::shared_ptr<const View> view, std::shared_ptr<PathCache> cache);
  ~ViewTree() override;

  void begin(mode_t umask) override;
  Result<ServedEntry> lookup(ServedId parent, const std::string& name) override;
  void forget(ServedId node, uint64_t count) override;
  Result<Attr> getattr(ServedId node) override;
  Result<Attr> setattr(ServedId node, const SetAttr& set, ServedFile* file) override;
  Result<std::string> readlink(ServedId node) override;
  Result<std::vector<DirEntry>> list(ServedId node) override;
  Result<struct statfs> statfs(ServedId node) override;
  Result<ServedEntry> mknod(ServedId parent, const std::string& name, mode_t mode,
                            dev_t dev) override;
  Result<ServedEntry> mkdir(ServedId parent, const std::string& name, mode_t mode) override;
  Result<ServedEntry> symlink(ServedId parent, const std::string& name,
                              const std::string& target) override;
  Result<ServedEntry> link(ServedId node, ServedId parent, const std::string& name) override;
  Result<void> unlink(ServedId parent, const std::string& name) override;
  Result<void> rmdir(ServedId parent, const std::string& name) override;
  Result<void> rename(ServedId from, const std::string& name, ServedId to,
                      const std::string& new_name, unsigned flags) override;
  Result<ServedFile*> open(ServedId node, int flags) override;
  Result<ServedEntry> create(ServedId parent, const std::string& name, int flags, mode_t mode,
                             ServedFile** file) override;
  void close(ServedFile* file) override;
  Result<uint64_t> reserve(ServedFile* file, uint64_t bytes) override;
  Result<void> sync(ServedFile* file, bool data_only) override;
  Result<void> sync_directory(ServedId node) override;
  Result<std::string> getxattr(ServedId node, const std::string& name) override;
  Result<std::string> listxattr(ServedId node) override;
  Result<void> setxattr(ServedId node, const std::string& name, std::string_view value,
                        int flags) override;
  Result<void> removexattr(ServedId node, const std::string& name) override;

 private:
  /// A place of the view: what Location has, and where it is.
  struct Place {
    std::shared_ptr<const Mount> mount;
    std::string path;       ///< in the mount's file system
    std::string view_path;  ///< canonical
    FileSystem& fs() const { return *mount->fs; }
  };
  Result<ServedNode*> node_of(ServedId id);
  Result<Place> place_of(ServedId id);
  Result<Place> place_of(const ServedNode& node) const;
  /// Where a name is, or is to be.
  Result<Place> place_in(ServedId parent, const std::string& name);
  /// The same for one that is to be made: EEXIST where something is mounted.
  Result<Place> new_place(ServedId parent, const std::string& name);
  Place at(std::string view_path) const;
  Result<Found> look(const Place& place) const;
  Result<ServedEntry> entry_of(ServedId parent, const std::string& name, const Place& place);
  NodeKey key_of(const Place& place, const Attr& attr) const;

  Attr shown(Attr attr);
  uint64_t number(uint32_t major, uint32_t minor, uint64_t inode);
  Result<Attr> nameless_attr(const ServedNode& node);
  Result<void> set_nameless(ServedNode& node, const SetAttr& set);
  Result<void> remove_name(ServedId parent, const std::string& name, const Place& place,
                           bool directory);
  void lost_name(ServedNode* node, const std::optional<Attr>& before);

  Result<UniqueFd> open_planned(const Place& place, int flags, mode_t mode);
  OpenNode* add_file(UniqueFd fd, ServedNode* node, const Place& place, int flags);
  void refresh(ServedNode* node);
  Result<void> reopen(OpenNode* file, const Place& place, const struct stat& now);
  Result<std::string> host_for_xattr(ServedId node, bool user);

  std::shared_ptr<const View> view_;
  std::shared_ptr<PathCache> cache_;
  NodeTable nodes_;
  Caller caller_;
  std::vector<gid_t> groups_;
  std::map<OpenNode*, std::unique_ptr<OpenNode>> files_;
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> devices_;  ///< in the order they were met
};

}  // namespace viewsh

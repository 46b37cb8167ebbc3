#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace viewsh {

/// A mount that a view's processes may make and take away though they may make no others: `user` of
/// fstab(5).
struct UserMount {
  std::string type;    ///< of mount(2), or "auto": an image of any type; "fuse.NAME"
  std::string source;  ///< an image: its canonical view path; else what it was called, "" for none
  std::string at;      ///< canonical view path
  std::map<std::string, std::string> options;  ///< those that it always has
};

/// What of the mount table a view's processes may change.
class MountRights {
 public:
  /// Everything.
  MountRights() = default;
  /// These mounts only.
  explicit MountRights(std::vector<UserMount> mounts) : mounts_(std::move(mounts)) {}

  bool all() const { return !mounts_; }
  /// May something be mounted at this place, and taken away?
  bool at(const std::string& view_path) const {
    return all() || std::any_of(mounts_->begin(), mounts_->end(),
                                [&](const UserMount& one) { return one.at == view_path; });
  }
  /// The mount that was allowed. Null: none like that was.
  const UserMount* find(const std::string& type, const std::string& source,
                        const std::string& view_path) const {
    const auto same = [&](const UserMount& one) {
      const bool served = one.type.starts_with("fuse.") && (type == "fuse" || type == "fuseblk" ||
                                                            type == "fuseblk" + one.type.substr(4));
      const bool image = one.type == "auto" && !source.empty();
      const bool same_type = one.type == type || served || image;
      return one.at == view_path && same_type && (one.source == source || source.empty());
    };
    if (all()) return nullptr;
    const auto it = std::find_if(mounts_->begin(), mounts_->end(), same);
    return it == mounts_->end() ? nullptr : &*it;
  }

 private:
  std::optional<std::vector<UserMount>> mounts_;
};

}  // namespace viewsh

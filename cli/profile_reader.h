#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/profile.h"

namespace viewsh {

/// Applies one profile's tree to a draft. Every method that reads returns false after it has noted
/// the first thing that is wrong, with its place.
class ProfileReader {
 public:
  ProfileReader(std::string file, ProfileLoader* loader, ViewDraft* draft);
  UserError read(const ProfileNode& root);

 private:
  using Read = std::function<bool(const ProfileNode& value)>;
  struct Field {
    std::string key;
    Read read;
  };

  /// Whole sections, in profile_reader.cc and profile_items.cc.
  bool read_schema(const ProfileNode& root);
  bool read_extends(const ProfileNode& list);
  bool read_root(const ProfileNode& value);
  bool read_env(const ProfileNode& map);
  bool read_mount(const ProfileNode& map);
  bool read_layer(const ProfileNode& value, std::string_view key, MountSpec* mount);
  bool read_mount_options(const ProfileNode& map, MountSpec* mount);
  bool check_layer(const ProfileNode& map, const MountSpec& mount);
  bool check_mount(const ProfileNode& map, const MountSpec& mount);
  bool read_device(const ProfileNode& map);
  bool check_device(const ProfileNode& map, const DeviceRequest& request);
  bool read_binfmt(const ProfileNode& map);
  bool check_binfmt(const ProfileNode& map, const ExecFormatSpec& format);
  bool read_plugin(const ProfileNode& map);
  bool read_allow(const ProfileNode& value);
  bool read_identity(const ProfileNode& map);

  /// A map with these keys and no others.
  bool read_map(const ProfileNode& map, std::string_view key, const std::vector<Field>& fields);
  bool read_entry(const ProfileNode& key, const ProfileNode& value,
                  const std::vector<Field>& fields);
  /// A list; `like` shows one in the error.
  bool read_list(const ProfileNode& list, std::string_view key, std::string_view like,
                 const Read& read_item);
  /// A map from any name to a text.
  bool read_texts(const ProfileNode& map, std::string_view key,
                  const std::function<bool(const ProfileNode& name, const std::string&)>& take);

  /// Texts: as written; with variables expanded; as a path on the host or in the view.
  bool plain(const ProfileNode& value, std::string_view key, std::string* out);
  bool expanded(const ProfileNode& value, std::string_view key, std::string* out);
  bool host_path(const ProfileNode& value, std::string_view key, std::string* out);
  bool view_path(const ProfileNode& value, std::string_view key, std::string* out);
  bool boolean(const ProfileNode& value, std::string_view key, bool* out);
  bool number(const ProfileNode& value, std::string_view key, uint64_t* out);
  bool options(const ProfileNode& list, std::map<std::string, std::string>* out);

  bool fail(const ProfileNode& node, std::string_view key, const std::string& why);
  Place place(const ProfileNode& node) const;

  std::string file_;
  std::string folder_;
  ProfileLoader* loader_;
  ViewDraft* draft_;
  UserError error_;
};

}  // namespace viewsh

#include "cli/view_options.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <array>
#include <optional>

#include "cli/expand.h"
#include "cli/mount_option.h"
#include "cli/parse_text.h"
#include "cli/profile.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// Where the options are applied to: the draft and what --layer has to remember.
struct Target {
  ViewDraft* draft;
  std::optional<size_t> last_cow;           ///< the mount of the last --cow or --mincow
  std::vector<std::string> pending_layers;  ///< those that wait for it
  Place pending_place;
};

using Apply = UserError (*)(const std::string& value, const Place& place, Target* target);

/// One more layer on top; the one that was there is only read from then on.
UserError give_layer(MountSpec* mount, const std::string& layer) {
  return {add_layer(layer, mount)};
}

UserError give_pending(Target* target, MountSpec* mount) {
  for (const std::string& layer : std::exchange(target->pending_layers, {})) {
    if (UserError error = give_layer(mount, layer)) return error;
  }
  return {};
}

template <UserError (*Parse)(const std::string&, MountSpec*)>
UserError apply_mount(const std::string& value, const Place& place, Target* target) {
  MountSpec mount;
  mount.place = place;
  if (UserError error = Parse(value, &mount)) return error;
  bool cow = is_copy_on_write(mount.type);
  mount.must_exist = mount.type == "hide";
  target->draft->add_mount(std::move(mount), {place, {}});
  if (!cow) return {};
  target->last_cow = target->draft->spec.mounts.size() - 1;
  return give_pending(target, &target->draft->spec.mounts.back());
}

UserError apply_layer(const std::string& value, const Place& place, Target* target) {
  std::string wrong = check_layer_name(value);
  if (!wrong.empty()) return {wrong};
  if (target->last_cow) return give_layer(&target->draft->spec.mounts[*target->last_cow], value);
  target->pending_layers.push_back(value);
  target->pending_place = place;
  return {};
}

/// A --layer without --cow goes to the one cow mount that the profiles have.
UserError settle_layer(Target* target) {
  if (target->pending_layers.empty()) return {};
  std::vector<size_t> cows;
  auto& mounts = target->draft->spec.mounts;
  for (size_t i = 0; i < mounts.size(); ++i) {
    if (is_copy_on_write(mounts[i].type)) cows.push_back(i);
  }
  const std::string& place = target->pending_place.text;
  if (cows.empty()) return {place + ": there is no copy-on-write mount; add --cow PATH"};
  if (cows.size() > 1) return {place + ": the profile has several copy-on-write mounts"};
  mounts[cows[0]].layer.clear();
  mounts[cows[0]].layers_below.clear();
  UserError error = give_pending(target, &mounts[cows[0]]);
  return error ? UserError{place + ": " + error.text} : UserError{};
}

UserError apply_root(const std::string& value, const Place& place, Target* target) {
  std::string path = absolute_host_path(expand_tilde(value), working_directory());
  struct stat found {};
  if (value.empty()) return {"must be a directory"};
  if (stat(path.c_str(), &found) != 0) return {Errno::last().message()};
  if (!S_ISDIR(found.st_mode)) return {"must be a directory"};
  target->draft->spec.root = path;
  target->draft->spec.root_place = place;
  return {};
}

UserError apply_cwd(const std::string& value, const Place&, Target* target) {
  if (value.empty()) return {"must be a directory"};
  target->draft->spec.cwd = absolute_view_path(expand_tilde(value), working_directory());
  return {};
}

UserError apply_disk(const std::string& value, const Place& place, Target* target) {
  DeviceSpec device;
  device.place = place;
  if (UserError error = parse_disk(value, &device.request)) return error;
  target->draft->spec.devices.push_back(std::move(device));
  return {};
}

UserError apply_env(const std::string& value, const Place&, Target* target) {
  size_t equals = value.find('=');
  if (equals == std::string::npos || equals == 0) return {"must be NAME=VALUE"};
  target->draft->set_env(value.substr(0, equals), value.substr(equals + 1));
  return {};
}

UserError apply_unset(const std::string& value, const Place&, Target* target) {
  std::string wrong = check_env_name(value);
  if (wrong.empty()) target->draft->unset_env(value);
  return {wrong};
}

UserError apply_clear_env(const std::string&, const Place&, Target* target) {
  target->draft->spec.env.clear = true;
  return {};
}

UserError apply_allow(const std::string& value, const Place&, Target* target) {
  return {allow(value, &target->draft->spec)};
}

IdentitySpec& identity_of(const Place& place, Target* target) {
  std::optional<IdentitySpec>& identity = target->draft->spec.identity;
  if (!identity) identity.emplace();
  identity->place = place;
  return *identity;
}

UserError apply_uid(const std::string& value, const Place& place, Target* target) {
  uid_t uid = 0;
  const std::string wrong = parse_id(value, &uid);
  if (!wrong.empty()) return {wrong};
  identity_of(place, target).request.uid = uid;
  return {};
}

UserError apply_gid(const std::string& value, const Place& place, Target* target) {
  gid_t gid = 0;
  const std::string wrong = parse_id(value, &gid);
  if (!wrong.empty()) return {wrong};
  IdentityRequest& request = identity_of(place, target).request;
  request.gid = gid;
  request.groups.reset();
  return {};
}

UserError apply_fake_root(const std::string&, const Place& place, Target* target) {
  identity_of(place, target).request = {0, 0, std::nullopt};
  return {};
}

UserError refuse(const std::string&, const Place&, Target*) {
  return {"not available in this version"};
}

/// One option. `value` is the name of its value in the help, empty for a flag; an option without
/// help is known, but not shown.
struct Row {
  const char* names;
  const char* value;
  const char* help;
  Apply apply;  ///< null: the profile, which comes first
};

constexpr std::array<Row, 27> kRows = {{
    {"-p,--profile", "NAME|FILE", "the view of a profile; more than once: one over the other",
     nullptr},
    {"--bind", "SRC:AT[:ro]", "SRC is seen at AT", apply_mount<parse_bind>},
    {"--hide", "PATH", "there is nothing at PATH, not in listings either", apply_mount<parse_hide>},
    {"--tmpfs", "AT[:size=64M]", "an empty directory in memory", apply_mount<parse_tmpfs>},
    {"--cow", "PATH[:except=SUBPATH,...]",
     "copy-on-write from PATH down (often /), but for what is below SUBPATH",
     apply_mount<parse_cow>},
    {"--mincow", "PATH[:except=SUBPATH,...]",
     "as --cow, but only what you may not change is copied; the rest is really changed",
     apply_mount<parse_mincow>},
    {"--layer", "NAME",
     "keep the changes of --cow under this name; else they end with the view. More than once: each "
     "stands on the one before, which is only read",
     apply_layer},
    {"--merge", "A:B[:C...]:AT[:rw]", "the union of directories; the first that has a name wins",
     apply_mount<parse_merge>},
    {"--mount", "TYPE:SRC:AT[:OPT,...]",
     "an image or archive as a file system: ext2, ext3, ext4, iso9660, tar, zip, cpio, 7z, rar, "
     "ar, xar or auto; or any other type that a plugin knows",
     apply_mount<parse_mount>},
    {"--root", "DIR", "DIR is the view's /; sources of other options are host paths", apply_root},
    {"--disk", "SRC:/dev/NAME[:size=1G,ro]", "an image file as a disk, if a plugin knows disks",
     apply_disk},
    {"--allow", "mount", "programs in the view may mount and unmount, by mount(8) and umount(8)",
     apply_allow},
    {"--env", "NAME=VALUE", "set a variable of the environment", apply_env},
    {"--unset", "NAME", "take a variable out of the environment", apply_unset},
    {"--clear-env", "", "start with an empty environment", apply_clear_env},
    {"--cwd", "DIR", "the working directory, a path of the view", apply_cwd},
    {"--uid", "N", "who programs believe to be, and to own what is yours", apply_uid},
    {"--gid", "N", "the same for your group", apply_gid},
    {"--fake-root", "", "--uid 0 --gid 0; and they may mount and unmount", apply_fake_root},
    {"--hostname", "NAME", "", refuse},
    {"--uname", "FIELD=VALUE,...", "", refuse},
    {"--time", "START", "", refuse},
    {"--time-rate", "R", "", refuse},
    {"--time-freeze", "", "", refuse},
    {"--seed", "N", "", refuse},
    {"--net", "NAME", "", refuse},
    {"--cage", "", "", refuse},
}};

/// "-p,--profile" -> "--profile".
std::string long_name(const Row& row) {
  std::string names = row.names;
  return names.substr(names.find("--"));
}

}  // namespace

void add_text(CLI::App* app, const std::string& names, const std::string& value,
              const std::string& help, std::string* out) {
  app->add_option_function<std::string>(
         names, [out](const std::string& text) { *out = text; }, help)
      ->option_text(value)
      ->trigger_on_parse();
}

void ViewOptions::declare(CLI::App* app) {
  for (const Row& row : kRows) {
    std::string name = long_name(row);
    CLI::Option* option = nullptr;
    if (*row.value == '\0') {
      option = app->add_flag_callback(
          row.names,
          [this, name] {
            typed_.push_back({name, ""});
          },
          row.help);
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->trigger_on_parse();
    } else {
      option = app->add_option_function<std::string>(
          row.names,
          [this, name](const std::string& value) {
            typed_.push_back({name, value});
          },
          row.help);
      option->option_text(row.value)->trigger_on_parse();
    }
    option->group(*row.help == '\0' ? "" : "The view");
  }
}

UserError ViewOptions::build(ViewDraft* draft) const {
  ProfileLoader loader(draft);
  for (const Typed& typed : typed_) {
    if (typed.option != "--profile") continue;
    if (UserError error = loader.load(typed.value, working_directory())) return error;
  }
  Target target{draft, {}, {}, {}};
  for (const Typed& typed : typed_) {
    for (const Row& row : kRows) {
      if (long_name(row) != typed.option || row.apply == nullptr) continue;
      std::string place = typed.option + (typed.value.empty() ? "" : " " + printable(typed.value));
      if (UserError error = row.apply(typed.value, {place}, &target)) {
        return {place + ": " + error.text};
      }
    }
  }
  if (UserError error = settle_layer(&target)) return error;
  return check_draft(*draft);
}

std::vector<std::string> ViewOptions::layers() const {
  std::vector<std::string> names;
  for (const Typed& typed : typed_) {
    if (typed.option == "--layer") names.push_back(typed.value);
  }
  return names;
}

std::vector<std::string> ViewOptions::only_profiles() const {
  std::vector<std::string> names;
  for (const Typed& typed : typed_) {
    if (typed.option != "--profile") return {};
    names.push_back(typed.value);
  }
  return names;
}

void ViewOptions::drop_layers() {
  std::erase_if(typed_, [](const Typed& typed) { return typed.option == "--layer"; });
}

void declare_run_options(CLI::App* app, RunOptions* options) {
  const std::string group = "The run";
  app->add_option_function<std::string>(
         "--trace", [options](const std::string& file) { options->trace = file; },
         "a line for each trapped call, on standard error or into FILE")
      ->option_text("[=FILE]")
      ->trigger_on_parse()
      ->group(group);
  app->add_flag("--stats", options->stats, "count the trapped calls, on standard error")
      ->group(group);
  app->add_flag("--kill-on-exit", options->kill_on_exit, "end what still runs when COMMAND ends")
      ->group(group);
}

}  // namespace viewsh

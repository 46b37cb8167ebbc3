#include "cli/learn.h"

#include <array>
#include <ctime>
#include <iterator>

#include "base/path.h"
#include "cli/expand.h"
#include "cli/learn_plan.h"
#include "cli/learn_text.h"
#include "cli/profile_search.h"
#include "cli/text.h"

namespace viewsh {
namespace {

std::string today() {
  time_t now = time(nullptr);
  tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 32> text{};
  size_t length = strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return {text.data(), length};
}

/// A name that finds the same profile from wherever the new one lies.
std::string lasting_name(const std::string& name) {
  std::string file;
  bool found = !find_profile(name, working_directory(), &file);
  std::string path = absolute_host_path(file, working_directory());
  bool here =
      found && (name.find('/') != std::string::npos || parent_path(path) == working_directory());
  return here ? path : name;
}

std::string stem_of(const std::string& path) {
  std::string name(base_name(path));
  size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

bool is_plain(const ViewSpec& spec) {
  const EnvSpec& env = spec.env;
  return spec.root == "/" && spec.cwd.empty() && spec.mounts.empty() && spec.devices.empty() &&
         spec.binfmt.empty() && spec.plugins.empty() && env.set.empty() && env.unset.empty() &&
         !env.clear;
}

}  // namespace

UserError Learning::finish(const std::vector<std::string>& command, const ViewSpec& spec,
                           const std::vector<std::string>& profiles) {
  if (!record_.started) return {};
  UserError error;
  AskExists ask = [&](const std::vector<std::string>& paths) {
    std::vector<ResolvedPath> found;
    if (!paths.empty()) error = resolve_in_view(spec, paths, &found);
    std::vector<bool> there(paths.size());
    for (size_t i = 0; i < found.size(); ++i) there[i] = found[i].exists;
    return there;
  };
  std::set<std::string> apart;
  for (const DeviceSpec& device : spec.devices) apart.insert(device.request.path);
  Places places = Places::own();
  LearnedPlan plan = plan_learned(record_, places, apart, ask);
  if (error) return error;
  LearnedHead head{stem_of(file_.path()), command, today(), {}, nullptr};
  for (const std::string& name : profiles) head.extends.push_back(lasting_name(name));
  if (profiles.empty() && !is_plain(spec)) head.view = &spec;
  if ((error = file_.write(learned_yaml(head, plan, record_, places)))) return error;
  for (const std::string& note : plan.notes) print_error("learned, but " + note);
  print_error("learned: " + printable(file_.path()) + ": " +
              counted(plan.mounts.size(), "mount", "mounts"));
  return {};
}

}  // namespace viewsh

#include "cli/learn_places.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

#include "base/path.h"
#include "cli/expand.h"

namespace viewsh {
namespace {

constexpr std::array kSharedBelowHome = {".config",      ".cache",     ".local", ".local/share",
                                         ".local/state", ".local/bin", ".var"};
constexpr std::array kSecretBelowHome = {".ssh",
                                         ".gnupg",
                                         ".aws",
                                         ".azure",
                                         ".kube",
                                         ".docker",
                                         ".pki",
                                         ".netrc",
                                         ".password-store",
                                         ".mozilla",
                                         ".thunderbird",
                                         ".config/gh",
                                         ".config/gcloud",
                                         ".config/chromium",
                                         ".config/google-chrome",
                                         ".local/share/keyrings",
                                         ".git-credentials",
                                         ".pgpass",
                                         ".config/git/credentials"};
constexpr std::array kShared = {"/var/lib", "/var/log",  "/var/cache", "/var/spool",
                                "/var/run", "/run/user", "/dev/pts",   "/usr/local"};
constexpr std::array kBroad = {"/usr/bin",       "/usr/sbin",      "/usr/lib",
                               "/usr/lib64",     "/usr/libexec",   "/usr/share",
                               "/usr/local/bin", "/usr/local/lib", "/usr/local/share"};
constexpr std::array kSecret = {"/etc/shadow", "/etc/gshadow", "/etc/ssl/private", "/root/.ssh"};

std::string canonical(const std::string& path) {
  std::array<char, PATH_MAX> buffer{};
  return realpath(path.c_str(), buffer.data()) != nullptr ? buffer.data() : "";
}

std::string from_environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr || *value != '/' ? "" : canonical(value);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

}  // namespace

Places::Places(std::string home, std::string cwd, std::set<std::string> temporary)
    : home_(std::move(home)), cwd_(std::move(cwd)), temporary_(std::move(temporary)) {
  temporary_.insert({"/tmp", "/var/tmp", "/dev/shm"});
}

Places Places::own() {
  // Where the home directory or the working directory is named by a link, a profile that speaks of
  // them would mean another path than the run used.
  std::string home = home_directory();
  if (home == "/" || canonical(home) != home) home.clear();
  std::string cwd = working_directory();
  const char* named = getenv("PWD");
  bool other = named != nullptr && cwd != named && canonical(named) == cwd;
  if (other || is_at_or_below(home, cwd)) cwd.clear();
  std::set<std::string> temporary;
  for (const char* name : {"TMPDIR", "XDG_RUNTIME_DIR"}) {
    std::string dir = from_environment(name);
    if (!dir.empty() && dir != home && dir != cwd) temporary.insert(dir);
  }
  return {home, cwd, std::move(temporary)};
}

bool Places::is_shared(const std::string& dir) const {
  if (is_temporary(dir) || is_secret(dir)) return true;
  std::vector<std::string_view> parts = components(dir);
  if (parts.size() < 2 || (parts.size() == 2 && parts[0] == "home")) return true;
  bool listed = std::find(kShared.begin(), kShared.end(), dir) != kShared.end();
  if (listed || home_.empty()) return listed;
  if (is_at_or_below(home_, dir)) return true;
  return std::any_of(kSharedBelowHome.begin(), kSharedBelowHome.end(),
                     [&](const char* name) { return dir == join_path(home_, name); });
}

bool Places::is_broad(const std::string& dir) {
  return std::find(kBroad.begin(), kBroad.end(), dir) != kBroad.end();
}

bool Places::is_secret(const std::string& path) const {
  auto inside = [&](const std::string& dir) { return is_at_or_below(path, dir); };
  if (std::any_of(kSecret.begin(), kSecret.end(), inside)) return true;
  return !home_.empty() &&
         std::any_of(kSecretBelowHome.begin(), kSecretBelowHome.end(),
                     [&](const char* name) { return inside(join_path(home_, name)); });
}

std::string Places::text(const std::string& path) const {
  auto below = [&](const std::string& dir, const char* name) {
    std::string rest = escaped(std::string(below_of(path, dir)));
    return rest.empty() ? std::string(name) : std::string(name) + "/" + rest;
  };
  if (!cwd_.empty() && is_at_or_below(path, cwd_)) return below(cwd_, "$PWD");
  if (!home_.empty() && is_at_or_below(path, home_)) return below(home_, "~");
  return escaped(path);
}

}  // namespace viewsh

#pragma once

#include <set>
#include <string>
#include <vector>

namespace viewsh {

/// What the places of a file system mean to who wants to show as little of it as possible.
/// All paths are canonical.
class Places {
 public:
  /// Of this process: home, working directory, directories for temporary files.
  static Places own();
  Places(std::string home, std::string cwd, std::set<std::string> temporary);

  /// A directory of temporary files.
  bool is_temporary(const std::string& dir) const { return temporary_.contains(dir); }
  /// A directory that many programs keep their files in: never to be shown as a whole.
  bool is_shared(const std::string& dir) const;
  /// A directory of which a few files more don't mean that all of it is used: where programs and
  /// libraries of all kinds lie.
  static bool is_broad(const std::string& dir);
  /// In a directory of keys and passwords.
  bool is_secret(const std::string& path) const;
  /// As a profile says it, so that it holds for others: "~/x", "$PWD/x". Dollars of the path itself
  /// are doubled.
  std::string text(const std::string& path) const;
  const std::string& home() const { return home_; }
  const std::string& cwd() const { return cwd_; }

 private:
  std::string home_;
  std::string cwd_;
  std::set<std::string> temporary_;
};

}  // namespace viewsh

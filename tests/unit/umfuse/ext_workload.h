#pragma once

#include <map>
#include <random>
#include <set>
#include <string>

#include "ext_fixture.h"

namespace viewsh {

/// A sequence of operations that a seed fixes, on files below some directories, and what it leads
/// to. Without an image only the second.
class ExtWorkload {
 public:
  explicit ExtWorkload(unsigned seed) : random_(seed) {}

  using Files = std::map<std::string, std::string>;  ///< path, content
  /// The directories; before the first step.
  void prepare(ExtImage* image);
  /// True: it was a sync().
  bool step(ExtImage* image);
  const Files& files() const { return files_; }
  /// Paths that the last step had to do with.
  const std::set<std::string>& touched() const { return touched_; }

 private:
  void create(ExtImage* image);
  void change(ExtImage* image);
  void rename(ExtImage* image);
  void remove(ExtImage* image);
  std::string some_file();
  std::string new_name();

  std::mt19937 random_;
  Files files_;
  std::set<std::string> touched_;
  unsigned names_ = 0;
};

/// Every file of `files` is there with its content, but for those in `except`.
void expect_files(ExtImage* image, const ExtWorkload::Files& files,
                  const std::set<std::string>& except);

}  // namespace viewsh

#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <string>
#include <utility>

#include "viewsh/unique_fd.h"

namespace viewsh {

/// A path of any length for the *at calls: a directory descriptor and a name below it that the
/// kernel takes. A path longer than PATH_MAX is opened piece by piece, links in it are followed as
/// the kernel would. Where the way can't be opened, the call says why: ENOENT, ENOTDIR, EACCES,
/// ELOOP; where no piece is short enough, or there are no descriptors left: ENAMETOOLONG.
/// Good for as long as the object lives and the given descriptor is open. path_resolution(7).
class PathAt {
 public:
  /// `path` is relative to the directory `dir`, or to AT_FDCWD. An empty one stays empty.
  PathAt(int dir, std::string path) : dir_(dir), name_(std::move(path)) {
    if (name_.size() >= PATH_MAX) shorten();
  }
  int dir() const { return dir_; }
  const char* name() const { return name_.c_str(); }
  /// name() is not the path that was given, but begins at a descriptor of this object.
  bool shortened() const { return opened_.valid(); }

 private:
  static constexpr size_t kPiece =
      PATH_MAX - NAME_MAX - 64;  // room for what is put before or behind

  void shorten() {
    size_t from = 0;
    while (name_.size() - from > kPiece) {
      const size_t cut = name_.rfind('/', from + kPiece);
      if (cut == std::string::npos || cut <= from) return;
      std::string piece = name_.substr(from, cut - from);
      UniqueFd next(openat(dir_, piece.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!next) {
        // The call meets what this one met, and can't do anything with such a name if it doesn't.
        name_ = std::move(piece) + "/" + std::string(NAME_MAX + 1, 'x');
        return;
      }
      opened_ = std::move(next);
      dir_ = opened_.get();
      from = name_.find_first_not_of('/', cut);
      if (from == std::string::npos) from = name_.size();
    }
    name_.erase(0, from);
    if (name_.empty()) name_ = ".";
  }

  int dir_;
  std::string name_;
  UniqueFd opened_;
};

/// A path of any length as one text, for calls that have no *at form and for other processes: the
/// path itself, or, where it is longer than PATH_MAX, "/proc/PID/fd/N/rest" with a descriptor of
/// this object. Such a text is good in every process of the same user for as long as the object
/// lives. Errors are those of PathAt.
class LongPath {
 public:
  explicit LongPath(std::string path) : LongPath(AT_FDCWD, std::move(path)) {}
  /// `path` is relative to the directory `dir`; the text begins at its descriptor. "": the
  /// directory itself, by way of procfs's link, which has to be followed.
  LongPath(int dir, std::string path) : at_(dir, std::move(path)) {
    if (at_.dir() == AT_FDCWD) {
      text_ = at_.name();
      return;
    }
    text_ = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(at_.dir());
    if (*at_.name() != '\0') text_.append("/").append(at_.name());
  }
  const char* c_str() const { return text_.c_str(); }
  const std::string& text() const { return text_; }
  bool shortened() const { return at_.shortened(); }

 private:
  PathAt at_;
  std::string text_;
};

}  // namespace viewsh

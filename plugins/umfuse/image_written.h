#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// A part of a file, in bytes.
struct FilePart {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool operator==(const FilePart&) const = default;
};

/// Which parts of a file tasks have written, as far as they announced it. That a write is announced
/// comes before it is made, and that it was made is known only by the next thing that the same task
/// does: until then its part counts, however often the file was saved meanwhile.
class WrittenParts {
 public:
  void note(const PlannedWrite& write);
  /// Something was written that isn't announced, and may be anywhere.
  void note_all() { everything_ = true; }
  /// It is mapped shared: what is written is never announced from now on.
  bool maps() const { return maps_; }
  /// What may differ from what was saved last.
  struct Taken {
    bool everything = false;
    std::vector<FilePart> parts;  ///< in order, where it isn't everything
  };
  /// For it to be saved now; give_back() where that failed.
  Taken take();
  void give_back(const Taken& taken);

 private:
  struct Flying {
    FilePart part;
    bool at_position = false;
  };
  static FilePart part_of(const PlannedWrite& write);
  bool others_move(pid_t task) const;
  void add(const FilePart& part);

  std::vector<FilePart> done_;
  std::unordered_map<pid_t, Flying> flying_;  ///< the last of each task, which may not be made yet
  bool everything_ = false;
  bool maps_ = false;
};

}  // namespace viewsh

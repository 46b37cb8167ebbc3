#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>

#include "op.h"
#include "worker.h"

namespace viewsh_model {

struct GenerateHow {
  /// Ends of the process in the middle, after which a named layer is opened again.
  bool restarts = false;
  /// Only operations that are one change each, so that a kill leaves them done or not done.
  bool single_calls = false;
  /// Operations of these names are left out, e.g. those of a limit that is known.
  std::vector<std::string> without;
};

/// The tree that a run begins with: files, links, hard links, attributes, names of all kinds.
Script initial_tree(uint32_t seed);

/// Draws random operations, mostly on what is there: it looks at the tree of a worker that runs
/// natively, so each operation has to be run before the next is drawn.
class Generator {
 public:
  Generator(uint32_t seed, const Worker& worker, GenerateHow how)
      : random_(seed), worker_(worker), how_(std::move(how)) {}
  Op next();

 private:
  enum class Want { kAny, kFile, kDirectory, kNew };

  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool chance(uint32_t percent) { return pick(100) < percent; }
  template <typename... T>
  std::string one_of(T... choices) {
    const std::string all[] = {choices...};
    return all[pick(sizeof...(choices))];
  }

  std::string path(Want want);
  std::string descend(int base, Want want);
  std::string name();
  std::string target();
  std::string slot() { return std::to_string(pick(Worker::kSlots)); }
  std::string mode(bool directory);
  std::string size();
  std::string seconds() { return std::to_string(1000000000 + pick(100000)); }
  std::string xattr() { return "user." + one_of("a", "b", "c", "long.name.of.an.attribute"); }
  std::string value() { return std::string(pick(4) * pick(40), 'v') + std::to_string(pick(100)); }

  Op path_op();
  Op fd_op();
  Op look_op();
  Op attribute_op();
  void pattern();
  Op draw();

  std::mt19937 random_;
  const Worker& worker_;
  GenerateHow how_;
  std::deque<Op> queue_;
};

}  // namespace viewsh_model

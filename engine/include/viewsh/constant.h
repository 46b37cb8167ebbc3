#pragma once

#include <cstdint>
#include <functional>

namespace viewsh {

/// What a FileSystem is as well that may never change, like an image which is only read: so that
/// what it says can be known by heart.
class Constant {
 public:
  virtual ~Constant() = default;
  /// What it says of names and nodes, and by fix_attr() of an object that stands for a node, is
  /// what it will say as long as it is shown; and no other file system shows any of these objects.
  /// Ends when one does.
  virtual bool is_constant() const = 0;
  /// The object of a directory stays as long as the file system is in use. `removed` hears, from
  /// now on, of each other one that goes, before another one can get its number. One at a time.
  virtual void on_removal(std::function<void(uint64_t dev, uint64_t ino)> removed) = 0;
};

}  // namespace viewsh

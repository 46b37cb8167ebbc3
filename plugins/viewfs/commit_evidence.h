#pragma once

#include <string>
#include <vector>

#include "commit_record.h"
#include "commit_tree.h"

namespace viewsh::viewfs {

/// What a commit that was cut short has done, and what others did since. It is told by what nobody
/// else has a reason to touch: the temporary names of the commit, and the content of the layer.
class Evidence {
 public:
  /// `at`: what the view calls the lower's root.
  Evidence(const CommitRecord& record, Tree* lower, Tree* upper, std::string at)
      : r_(record), lower_(*lower), upper_(*upper), at_(std::move(at)) {}

  /// How many of the renames were made. `*unknown`: that of which it can't be told, with its error;
  /// ESTALE: a name of the commit has what it never gave it.
  Result<size_t> renamed(const Rename** unknown);

  /// One of the first `done` renames that is visibly not made: an undo was cut short.
  const Rename* taken_back(size_t done);

  /// It can be seen that a rename was made.
  bool was_made(const Rename& r);

  /// What the content of a file is that is changed in place.
  enum class Content : char {
    kBefore,  ///< what it was before the commit
    kOurs,    ///< what the layer has, or a part of that and zeros
    kOthers,  ///< neither: somebody wrote to it
  };
  Result<Content> content(const InPlace& in);
  /// Somebody else wrote to a file of which the commit changes attributes only.
  bool written_by_others(const InPlace& in, const Attr& now) const;

  /// Removing what a rename brought to `name` in `dir` loses nothing that the layer doesn't have.
  Result<bool> is_ours(const Rename& r, const Dir& dir, const std::string& name, const Attr& now);

 private:
  enum class Seen : char {
    kBefore,
    kAfter,
    kAway,  ///< what is to get its place isn't under its temporary name
  };
  Result<Seen> seen(const Rename& r);
  Result<bool> same_tree(const Dir& dir, const std::string& name, const std::string& path);
  Result<bool> same_node(const Attr& now, const std::string& path);
  bool is_linked(uint64_t ino) const;

  const CommitRecord& r_;
  Tree& lower_;
  Tree& upper_;
  std::string at_;
};

}  // namespace viewsh::viewfs

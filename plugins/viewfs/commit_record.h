#pragma once

#include <map>
#include <string>
#include <vector>

#include "file_time.h"
#include "layer_selection.h"
#include "viewsh/filesystem.h"
#include "viewsh/result.h"

namespace viewsh::viewfs {

/// Tells an object of the lower from another, and whether a file was written to meanwhile.
struct Stamp {
  uint64_t ino = 0;
  uint32_t mode = 0;
  uint64_t size = 0;
  FileTime mtime;
  bool only_ino = false;  ///< the commit itself writes to it
};
Stamp stamp_of(const Attr& attr);
bool is_still(const Stamp& then, const Attr& now);

/// What chmod, chown and utimensat set.
struct Attributes {
  uint32_t mode = 0;  ///< with the type
  uint32_t uid = 0;
  uint32_t gid = 0;
  FileTime atime;
  FileTime mtime;
};
Attributes attributes_of(const Attr& attr);

/// A directory of the lower in which names change. Paths are those before the commit.
struct TouchedDir {
  std::string path;
  uint64_t ino = 0;
  Attributes before;
  bool loosen = false;  ///< its owner can't write in it: gets u+rwx for as long as the commit lasts
};

/// A name that the preparation makes.
struct Temp {
  std::string dir;
  std::string name;
};

/// A file in upper/ that its owner can't read; it is made readable while it is copied.
struct LockedUpper {
  std::string path;
  uint32_t mode = 0;
};

/// An inode of the lower that stays and gets other attributes, and maybe content.
struct InPlace {
  using Xattrs = std::map<std::string, std::string>;
  std::string path;  ///< before any rename
  std::string show;  ///< the view's, for messages
  Stamp stamp;
  Attributes before;
  Attributes after;
  bool with_xattrs = false;
  Xattrs xattrs_before;
  Xattrs xattrs_after;
  std::string upper;   ///< path in upper/ of the new content; empty: the content stays
  std::string backup;  ///< name beside it of a copy of the old content
};

/// One step of applying: a rename. Paths are those at the moment of the step.
struct Rename {
  enum class Kind : char {
    kIn = 'i',        ///< something new gets its name, which is free
    kExchange = 'x',  ///< something new and what is there change places
    kAside = 'a',     ///< what is there leaves its name
    kPlace = 'p',     ///< what left its name gets another, which is free
  };
  Kind kind = Kind::kIn;
  std::string from_dir, from_name, to_dir, to_name;
  uint64_t from_ino = 0, to_ino = 0;  ///< of the directories
  Stamp what;                         ///< what goes from `from` to `to`
  Stamp there;                        ///< kExchange: what is at `to`
  std::string show;
};

/// A change that is one rename between the layer and a directory of the lower, and needs no other
/// change; see DirectChanges. Paths are those before the commit.
struct Direct {
  enum class Kind : char {
    kIn = 'i',        ///< a file of upper/ gets its name, which is free
    kExchange = 'x',  ///< a file of upper/ and what is there change places
    kOut = 'o',       ///< what is there leaves the lower
  };
  Kind kind = Kind::kIn;
  std::string dir, name;  ///< in the lower
  uint64_t dir_ino = 0;
  std::string own;   ///< path in upper/; kOut: the name that it gets in the layer
  uint64_t ino = 0;  ///< of the file of upper/; kOut: 0
  Stamp there;       ///< what the name has; kIn: nothing
};

/// What is to be removed in the end. Paths are those after all renames.
struct Trash {
  std::string dir, name;
  uint64_t dir_ino = 0, ino = 0;
};

/// The attributes of a directory in the end. Paths are those after all renames.
struct Finish {
  std::string path;
  uint64_t ino = 0;
  Attributes attributes;
};

/// A commit as its journal holds it: all that is needed to go on with it or to take it back.
struct CommitRecord {
  enum class Stage : char {
    kNothing,    ///< nothing was done yet
    kPreparing,  ///< there may be names of `temps`, and loosened directories
    kReady,      ///< some of the changes may have been made
    kApplied,    ///< all were; what is left is to clean up
  };
  Stage stage = Stage::kNothing;
  std::string id;
  Selection::Verdict rest = Selection::Verdict::kCommit;
  std::map<std::string, Selection::Verdict> decisions;
  std::vector<TouchedDir> dirs;
  std::vector<Temp> temps;
  std::vector<LockedUpper> locked;
  std::vector<uint64_t> linked;        ///< inodes of the lower that get a name while it is prepared
  std::vector<TouchedDir> upper_dirs;  ///< directories of upper/ that files go from, as they were
  std::vector<InPlace> in_place;
  std::vector<Direct> direct;
  std::vector<Rename> renames;
  std::vector<Trash> trash;
  std::vector<Finish> finish;

  /// Nothing but the attributes of directories is left to be done when all changes are made, and
  /// what they get keeps nobody from taking back the changes.
  bool ends_with_attributes() const;

  std::string temp_name(size_t number) const {
    return ".viewsh-commit-" + id + "-" + std::to_string(number);
  }
};

/// The file `commit` of a layer directory; see docs/layer-format.md. Each stage is on disk when its
/// call returns.
class CommitJournal {
 public:
  static constexpr const char* kName = "commit";
  explicit CommitJournal(std::string layer_dir) : dir_(std::move(layer_dir)) {}
  /// There is one.
  static Result<bool> exists(int layer_dir_fd);

  /// What is about to be made. EEXIST: there is an unfinished commit.
  Result<void> begin(const CommitRecord& record);
  /// What is about to be changed.
  Result<void> ready(const CommitRecord& record);
  Result<void> applied();
  /// All changes are taken back; what was prepared is there still. As if it had never been ready.
  Result<void> taken_back();
  Result<void> remove();
  /// ENOENT: there is none. EINVAL: it can't be read.
  Result<CommitRecord> read();
  /// All of it that can be read; `bad`: how many lines can't. The stage is at least that of what
  /// was read.
  Result<CommitRecord> salvage(size_t* bad);

 private:
  Result<void> append(const std::string& text, int flags);

  std::string dir_;
  uint64_t size_ = 0;      ///< what is good of the file; 0: not known yet
  uint64_t ready_at_ = 0;  ///< where the line of the second stage is; 0: it isn't there
};

}  // namespace viewsh::viewfs

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "file_time.h"
#include "viewsh/filesystem.h"

namespace viewsh::viewfs {

/// What a lower node looked like when the layer last built on it: identity for st_ino and hard
/// links, the rest for telling whether the lower changed since.
struct LowerState {
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint64_t size = 0;
  FileTime mtime;
  FileTime ctime;
  FileTime seen;  ///< when this was written down
  bool operator==(const LowerState&) const = default;
};
LowerState lower_state(const Attr& attr);
uint64_t dev_of(const Attr& attr);

/// What names in upper/ can't hold about a node of the view. It moves with the node.
struct Meta {
  enum class Kind : char {
    kUpper = 'u',   ///< the content is in upper/
    kMerged = 'm',  ///< a directory: a container in upper/ over a lower directory
    kRef = 'r',     ///< not a directory: the lower's own node, under this name
  };
  Kind kind = Kind::kUpper;
  NodeType type = NodeType::kUnknown;
  /// kMerged, kRef: the lower path, where it is not that of the parent's lower and this name.
  /// kUpper: where a copied-up file came from, under the same condition. Empty: it is that.
  std::string redirect;
  std::optional<LowerState> origin;
  std::optional<uint32_t> mode;  ///< permission bits shown instead of the host object's
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  bool changed = false;  ///< mode or owner were set in the view, not taken over from the lower

  uint64_t upper_ino = 0;  ///< not stored: the object in upper/
  FileTime copied_ctime;   ///< not stored: its ctime as copy-up left it
};

/// One step of a layer's state. Paths are view paths without a leading slash.
struct Record {
  enum class Op : uint8_t {
    kHide,    ///< the lower's name at `path` is not shown (`state`: what was there)
    kShow,    ///< takes kHide back
    kNode,    ///< the node at `path` has this `meta`
    kClear,   ///< forgets the node at `path` and everything below it, not what kHide said of `path`
    kMove,    ///< the node at `path` and all below is now at `to`, replacing what was there
    kSwap,    ///< the nodes at `path` and `to` change places
    kLinked,  ///< `state.dev`, `state.ino` has `state.nlink` names, `covered` of them aren't the
              ///< lower's any more (below 0: it got more); `anchor`: its content is links/DEV-INO
  };
  Op op = Op::kHide;
  std::string path;
  std::string to;
  Meta meta;
  LowerState state;
  int32_t covered = 0;
  bool anchor = false;

  static Record hide(std::string path, const LowerState& state);
  static Record show(std::string path);
  static Record node(std::string path, Meta meta);
  static Record clear(std::string path);
  static Record move(std::string from, std::string to);
  static Record swap(std::string a, std::string b);
};

/// How recovery tells whether the one change of upper/ that belongs to a transaction was made.
struct HostTest {
  enum class Kind : uint8_t { kNone, kIno, kGone };
  Kind kind = Kind::kNone;
  std::string path;  ///< in upper/
  uint64_t ino = 0;  ///< kIno: made if `path` is this inode; kGone: if there is no `path`
};

/// Records that hold together, or none of them.
struct Transaction {
  HostTest test;
  std::vector<Record> records;
  /// Not stored. At a power cut the change of upper/ may be on disk and this line not: has it to be
  /// there first? No, where recovery (layer_recover.h) makes one of both states of what is left.
  bool ahead = false;
};

/// A transaction as a line of the log, checksum and newline included.
std::string encode(const Transaction& transaction);
/// The reverse, without the newline. Nothing: not a valid line.
std::optional<Transaction> decode(std::string_view line);
/// A line with any text under the checksum (marks). decode_text gives the text back.
std::string encode_text(std::string_view text);
std::optional<std::string_view> decode_text(std::string_view line);

std::string escape(std::string_view text);
std::optional<std::string> unescape(std::string_view text);

}  // namespace viewsh::viewfs

#pragma once

#include <sys/stat.h>

#include <ctime>
#include <unordered_map>
#include <vector>

#include "image.h"
#include "image_stage.h"

namespace viewsh {

/// Contents of a stage that may hold what isn't in the image yet. Tasks write them natively, so
/// nobody tells what was written: it is found by comparing, when it has to be in the image
/// (write_back()), and a content is looked after until nobody has it open for writing any more.
///
/// What the kernel keeps in its page cache is this, and what it does after some seconds, at
/// fsync(2) and at umount(8), the caller does by write_back() and settle().
class PendingContent {
 public:
  /// `times_writes`: the image gives what it is written the time of that itself.
  PendingContent(WritableImage& image, ImageStage& stage, bool times_writes)
      : image_(image), stage_(stage), times_writes_(times_writes) {}
  /// As ImageStage::share().
  void share(NodeLocks* locks) { locks_ = locks; }

  /// A task is about to open the content for writing; the stage knows of it. `maps`: it may write
  /// through a mapping, which shows in no time of the file.
  void begin(NodeId node, bool maps);
  bool pending(NodeId node) const { return entries_.count(node) != 0; }
  /// What the image says of a node, with size, blocks and times of its content.
  void overlay(NodeId node, Attr* attr) const;
  /// The length is another now, in the image too.
  Result<void> resize(NodeId node, uint64_t size);
  /// The image's time of change counts, not what was written before.
  void time_was_set(NodeId node);
  /// The node is no more.
  void forget(NodeId node) { entries_.erase(node); }

  /// reserve() of these waits for nothing.
  bool has_room(uint64_t bytes) const { return charge_of(bytes) <= room_; }
  /// Of `bytes` that a task wants to write: how many have room in the image.
  uint64_t reserve(uint64_t bytes);

  /// The content as it is now is in the image; sync() brings it to disk. ENOSPC, EIO: it stays
  /// pending.
  Result<void> write_back(NodeId node);
  /// All of them; the first error, after the others were tried.
  Result<void> write_back_all();
  /// Writes back and lets go of those that nobody can write any more.
  Result<void> settle();
  Result<void> settle(NodeId node);
  size_t count() const { return entries_.size(); }
  /// Of the small ones, those that were written since they were saved, as far as their times say.
  std::vector<NodeId> written_since() const;

 private:
  struct Entry {
    timespec base = {};      ///< the content's mtime when it was the image's
    bool was_saved = false;  ///< as long as that is its mtime, it is
    bool maps = false;
    unsigned begun = 0;  ///< how often
  };
  Result<void> save(NodeId node);
  static bool mark(int fd, const struct stat& st, Entry* entry);
  std::vector<NodeId> nodes() const;
  uint64_t measure_room() const;
  static uint64_t charge_of(uint64_t bytes);

  WritableImage& image_;
  ImageStage& stage_;
  bool times_writes_;
  NodeLocks* locks_ = nullptr;
  std::unordered_map<NodeId, Entry> entries_;
  uint64_t room_ = 0;  ///< bytes that may be promised without asking the image
};

}  // namespace viewsh

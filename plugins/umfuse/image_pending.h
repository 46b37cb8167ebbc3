#pragma once

#include <sys/stat.h>

#include <ctime>
#include <unordered_map>
#include <vector>

#include "image.h"
#include "image_copy.h"
#include "image_stage.h"
#include "image_written.h"

namespace viewsh {

/// Contents of a stage that may hold what isn't in the image yet. Tasks write them natively, so
/// what was written is found by comparing, when it has to be in the image (write_back()), and a
/// content is looked after until nobody has it open for writing any more. Of long ones only those
/// parts are compared that tasks announced to write, as long as nobody maps them, and the whole at
/// the end.
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

  /// How a content is about to be opened.
  struct Opening {
    bool maps = false;       ///< it may be written through a mapping, which shows in no time of it
    bool announced = false;  ///< writing() will tell what is written, and mapped
    bool emptied = false;    ///< it is cut to nothing before
  };
  /// A task is about to open the content for writing; the stage knows of it.
  void begin(NodeId node, const Opening& how);
  /// A task is about to write, to map, or to wait until what it wrote is on disk.
  void writing(NodeId node, const PlannedWrite& write);
  /// Is the content so long that it is of use to know where it is written?
  bool asks_where(NodeId node) const;
  bool pending(NodeId node) const { return entries_.count(node) != 0; }
  /// What the image says of a node, with size, blocks and times of its content.
  void overlay(NodeId node, Attr* attr) const;
  /// The length is another now, in the image too.
  Result<void> resize(NodeId node, uint64_t size);
  /// The image's time of change counts from now on, not that of what was written before, even where
  /// that isn't in the image yet.
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
  /// Those that are empty in the image, new or cut to nothing: so would a crash leave them.
  /// auto_da_alloc of ext4(5).
  Result<void> write_back_cut();
  /// The same by comparing all that was only compared in parts, whoever may write still: the end.
  Result<void> finish();
  /// Writes back and lets go of those that nobody can write any more.
  Result<void> settle();
  Result<void> settle(NodeId node);
  size_t count() const { return entries_.size(); }
  /// Bytes of contents that were compared with the image's so far.
  uint64_t compared() const { return compared_; }
  /// Of the small ones, those that were written since they were saved, as far as their times say.
  std::vector<NodeId> written_since() const;

 private:
  struct Entry {
    timespec base = {};      ///< the content's mtime when it was the image's
    bool was_saved = false;  ///< as long as that is its mtime, it is
    bool has_time = false;   ///< as long as that is its mtime, the image's is the one to keep
    bool maps = false;
    bool unannounced = false;  ///< somebody may write who doesn't say so
    bool in_parts = false;     ///< it was saved by its parts, and not as a whole since
    bool cut = false;          ///< it is empty in the image
    WrittenParts written;
    unsigned begun = 0;  ///< how often
  };
  /// `whole`: all of it is compared, whatever was said.
  static bool is_saved(const Entry& entry, const struct stat& st, bool whole);
  Result<void> save(NodeId node, bool whole);
  Result<Copied> copy(NodeId node, int fd, Entry* entry, bool whole);
  static bool mark(int fd, const struct stat& st, Entry* entry);
  Result<void> set_times(NodeId node, const struct stat& st, const Attr& before, bool fresh,
                         bool changed, bool has_time);
  std::vector<NodeId> nodes() const;
  uint64_t measure_room() const;
  static uint64_t charge_of(uint64_t bytes);

  WritableImage& image_;
  ImageStage& stage_;
  bool times_writes_;
  NodeLocks* locks_ = nullptr;
  std::unordered_map<NodeId, Entry> entries_;
  uint64_t compared_ = 0;
  uint64_t room_ = 0;  ///< bytes that may be promised without asking the image
};

}  // namespace viewsh

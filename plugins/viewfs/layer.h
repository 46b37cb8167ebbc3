#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layer_record.h"
#include "viewsh/plugin.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

/// How a layer directory is to be opened.
struct LayerSpec {
  std::string dir;       ///< absolute host path
  std::string name;      ///< for messages
  bool durable = true;   ///< keeps a log; else the layer ends with the object
  bool create = false;   ///< make it where it is not there
  bool write = true;     ///< takes the lock; else a look from outside, nothing is changed
  bool recover = false;  ///< open it although a commit of it is unfinished
  std::string view_id;   ///< written into the lock
  std::string at;        ///< the mount point that it is, or has to be, made for; empty: any
  std::string lower;     ///< create: host path of the tree below
  bool stand = false;    ///< `lower` and `over` have to be those that it was made for
  std::vector<std::string> over;  ///< layers that it stands on, the lowest first
  bool shared = false;            ///< others may read it meanwhile, none may write
};

/// What the file `layer` says.
struct LayerHeader {
  std::string at;                 ///< the mount point that it was made for
  std::string lower;              ///< host path of the tree below, or empty
  std::vector<std::string> over;  ///< the layers between it and that, the lowest first
};

/// A layer on disk: `upper/` with the content under real names, `work/` for what is being made,
/// `links/` for hard-linked lower files that were copied up, and for a durable one `lock`, `layer`
/// (version and origin) and `log` (see docs/layer-format.md). Knows nothing of trees.
class Layer {
 public:
  /// Null: `error` is filled. EBUSY: in use, the text names the view.
  static std::unique_ptr<Layer> open(const LayerSpec& spec, MountError* error);
  /// A layer that isn't durable is removed.
  ~Layer();
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  int upper_fd() const { return upper_fd_.get(); }
  int work_fd() const { return work_fd_.get(); }
  int links_fd() const { return links_fd_.get(); }
  int dir_fd() const { return dir_fd_.get(); }
  const std::string& upper_path() const { return upper_path_; }
  const std::string& dir() const { return spec_.dir; }
  const std::string& at() const { return spec_.at; }
  const std::string& lower() const { return spec_.lower; }
  const std::vector<std::string>& over() const { return spec_.over; }
  bool durable() const { return spec_.durable; }
  bool writable() const { return spec_.write; }

  /// What the log held at open, whole and done transactions only. Moves it out.
  std::vector<Transaction> take_history() { return std::move(history_); }
  /// The layer was closed in order: what the log says is what upper/ holds.
  bool clean() const { return clean_; }
  /// It was not, and the machine was started anew since: the log may lack lines for what upper/
  /// holds (layer_recover.h). Until recovered() is called.
  bool interrupted() const { return interrupted_; }
  void recovered() { interrupted_ = false; }

  /// Writes the intent ahead of the change of upper/ that `transaction.test` looks for. ENOSPC...:
  /// nothing was written. Not durable: nothing is written at all.
  Result<void> begin(const Transaction& transaction);
  /// That change failed: the intent is taken back.
  void rollback();
  /// To be called before a change of upper/ that has no transaction of its own.
  Result<void> settle();
  /// What the log says survives a power cut. Waits for the disk where something was added since.
  Result<void> sync();
  /// Goes up with every change of names, so that who made some durable knows of new ones.
  uint64_t generation() const { return generation_; }
  /// A name was made by somebody else: the task itself, when it opened a new file.
  void changed() { ++generation_; }
  /// The last transaction's change is still to be confirmed by settle() or the next begin().
  bool unsettled() const { return unsettled_; }
  /// Replaces the log by one with this state. `closing`: marked as closed in order.
  Result<void> compact(const Transaction& state, bool closing);

  /// A name in work/ that is not in use.
  std::string temp_name() { return "t" + std::to_string(++temp_counter_); }
  /// Empties work/ and drops the lock; not durable: removes everything. Further use is an error.
  Result<void> close();

 private:
  explicit Layer(LayerSpec spec) : spec_(std::move(spec)) {}
  bool open_dirs(MountError* error);
  bool open_file(const char* name, int flags, UniqueFd* fd, MountError* error) const;
  /// The directory is still the layer of that name: who removes a layer renames it first.
  bool still_there(MountError* error) const;
  bool lock(MountError* error);
  bool lock_shared(MountError* error);
  bool not_locked(Errno why, MountError* error) const;
  bool stands_right(const LayerHeader& header, MountError* error) const;
  bool check_journal(MountError* error);
  bool read_version(MountError* error);
  bool read_log(MountError* error);
  /// Fills history_ and log_size_; `last`: where the last transaction begins. Empty, or what is
  /// wrong.
  std::string parse_log(std::string_view all, size_t* last);
  /// Was what the last line says done on the host, too?
  Result<bool> last_is_done() const;
  Result<void> recover_last(size_t offset);
  Result<void> append(const std::string& line);

  LayerSpec spec_;
  std::string upper_path_;
  UniqueFd dir_fd_, upper_fd_, work_fd_, links_fd_, lock_fd_, log_fd_;
  std::vector<Transaction> history_;
  bool clean_ = true;
  bool unsettled_ = false;
  bool previous_unsettled_ = false;
  bool previous_boot_ = false;
  bool interrupted_ = false;
  bool boot_logged_ =
      false;             ///< the log says that it is written to since this start of the machine
  bool synced_ = false;  ///< nothing was added to the log since it was on disk
  uint64_t generation_ = 1;
  bool broken_ = false;  ///< the log ends in what could not be taken back: nothing may follow it
  bool open_ = false;
  std::optional<uint64_t> expected_;  ///< records that the log began with when it was written
  uint64_t log_size_ = 0;
  uint64_t previous_size_ = 0;
  uint64_t temp_counter_ = 0;
};

/// Empty, or what is wrong.
std::string parse_header(const std::string& text, LayerHeader* header);
/// What that reads.
std::string header_text(const LayerHeader& header);
/// The first line of every log.
inline constexpr char kLogWord[] = "viewsh-log 1";
/// Which start of the machine wrote what follows in a log: a line "boot ID".
std::optional<std::string_view> boot_of(std::string_view mark);
/// How many records follow at least: a line "state N".
std::optional<uint64_t> state_count(std::string_view mark);
/// A whole log that holds this state. `closing`: marked as closed in order.
std::string log_text(const Transaction& state, bool closing);
/// The reverse for a log that was closed in order; empty, or what is wrong with it.
std::string parse_closed_log(std::string_view text, std::vector<Transaction>* out);
/// All of it, from where the descriptor stands. ENOSPC, EIO...
Result<void> write_all(int fd, std::string_view data);
/// Writes a small file so that it has the old or the new content, whatever happens, and the new one
/// for good on return. ENOSPC, EROFS...
Result<void> replace_file(int dir_fd, const char* name, const std::string& content);
/// A layer's name in a profile or on the command line: one plain file name. Empty, or what is
/// wrong.
std::string check_layer_name(const std::string& name);
/// The view that holds the layer directory `dir`, or empty.
std::string layer_user(const std::string& dir);
/// Takes the lock of the layer directory `dir`, open as `lock_fd`; `how` is LOCK_EX or LOCK_SH.
/// Waits a moment for who only looks. Where who has it was killed, the processes that inherited it
/// are about to go: waits for them, at most three seconds. EBUSY.
Result<void> lock_layer(int lock_fd, const std::string& dir, int how);
/// Directories with all above; new ones are there for good. False and errno.
bool make_dirs(const std::string& path);
Result<std::string> read_whole(int dir_fd, const char* name);
/// Is there anything by that name? Only ENOENT says that there isn't; what couldn't be looked at is
/// an error.
Result<bool> is_there(int dir_fd, const std::string& name);
/// Opens, or makes, a regular file of a layer. Never waits and never follows a link. EINVAL,
/// EISDIR: it is something else.
Result<UniqueFd> open_plain(int dir_fd, const char* name, int flags);

}  // namespace viewsh::viewfs

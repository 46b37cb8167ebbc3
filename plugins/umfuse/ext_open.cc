#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_recover.h"
#include "ext_super.h"

namespace viewsh {
namespace {

void add_line(std::string* text, const std::string& more) {
  if (more.empty()) return;
  if (!text->empty()) *text += "; ";
  *text += more;
}

bool needs_recovery(const ext2_super_block& super) {
  return (super.s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER) != 0;
}

struct flock lock_of(short type, uint64_t offset, uint64_t bytes) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offset);
  lock.l_len = static_cast<off_t>(bytes);
  return lock;
}

}  // namespace

Result<std::unique_ptr<ExtImage>> ExtImage::open(int fd, const ExtOptions& options,
                                                 std::string* why) {
  std::unique_ptr<ExtImage> image(new ExtImage(options));
  why->clear();
  TRY(image->start(fd, why));
  return image;
}

ExtImage::~ExtImage() { unlock(); }

void ExtImage::unlock() {
  if (lock_fd_ < 0) return;
  struct flock lock = lock_of(F_UNLCK, options_.offset, lock_bytes_);
  ::fcntl(lock_fd_, F_OFD_SETLK, &lock);
  lock_fd_ = -1;
}

/// Of the file's part that the file system is in: two partitions of one disk don't meet.
Result<void> ExtImage::lock(int fd, uint64_t bytes, bool write, std::string* why) {
  struct flock lock = lock_of(write ? F_WRLCK : F_RDLCK, options_.offset, bytes);
  if (::fcntl(fd, F_OFD_SETLK, &lock) != 0) {
    const Errno error = Errno::last();
    if (error == EAGAIN || error == EACCES) {
      *why = "it is in use by another one";
      return Errno(EBUSY);
    }
    *why = "it can't be locked: " + error.message();
    return error;
  }
  lock_fd_ = fd;
  lock_bytes_ = bytes;
  return {};
}

/// Is it to be written? Replays the journal if so; *unplayed is what to say if it isn't empty then.
Result<bool> ExtImage::decide(int fd, std::string* why, std::string* note, std::string* unplayed) {
  TRY_ASSIGN(const auto device,
             [&] { return ext_fd_device(fd, options_.offset, options_.sizelimit); }());
  TRY_ASSIGN(ext2_super_block super, ext_read_super(device.get(), why));
  if (*why = ext_refusal(super); !why->empty()) return Errno(EINVAL);
  const std::string reason = ext_read_only_reason(super);
  const int access = ::fcntl(fd, F_GETFL) & O_ACCMODE;
  bool write = !options_.ro;
  if (write && access != O_RDWR) {
    write = false;
    add_line(note, "opened for reading only: the file can't be written");
  }
  if (write && !reason.empty()) {
    write = false;
    add_line(note, "opened for reading only: " + reason);
  }
  TRY(lock(fd, ext_bytes(super), write, why));
  // It may have changed until we had it.
  TRY_ASSIGN(super, ext_read_super(device.get(), why));
  if (needs_recovery(super) && write) {
    // e2fsck 1.47.0 replays at an offset and then fails to open the image again; so what counts is
    // whether the journal is empty when it is opened.
    if (ext_replay_journal(fd, options_.offset, unplayed)) *unplayed = "e2fsck didn't replay it";
    if (options_.around != nullptr) options_.around->wrote(0, UINT64_MAX);
    TRY_ASSIGN(super, ext_read_super(device.get(), why));
  } else if (needs_recovery(super)) {
    add_line(note, "what its journal holds isn't shown");
  }
  add_line(note, ext_warning(super));
  return write;
}

Result<void> ExtImage::start(int fd, std::string* why) {
  std::string note;
  std::string unplayed;
  const auto decided = decide(fd, why, &note, &unplayed);
  if (!decided) {
    if (why->empty()) *why = "it can't be opened: " + decided.error().message();
    return decided.error();
  }
  TRY_ASSIGN(auto device, ext_fd_device(fd, options_.offset, options_.sizelimit, options_.around));
  if (options_.wrap != nullptr) device = options_.wrap(std::move(device), options_.wrap_data);
  ExtFs::Settings settings;
  settings.writable = *decided;
  settings.cache_bytes = options_.cache_bytes;
  settings.last_mounted = options_.last_mounted;
  std::string said;
  auto opened = ExtFs::open(std::move(device), settings, &said);
  if (!opened) {
    *why = said.empty() ? "it can't be read: " + opened.error().message() : said;
    return opened.error();
  }
  fs_ = std::move(*opened);
  if (settings.writable && !fs_->writable() && !unplayed.empty()) {
    said = "opened for reading only, without what its journal holds: " + unplayed;
  }
  add_line(&note, said);
  map_ = std::make_unique<ExtMap>(fs_.get());
  dirs_ = std::make_unique<ExtDirs>(fs_.get(), map_.get());
  if (const auto root = node(EXT2_ROOT_INO); !root) {
    *why = "its root is no directory";
    return Errno(EUCLEAN);
  }
  if (fs_->writable()) {
    if (auto cleared = clear_orphans(); !cleared) {
      add_line(&note, "files without names could not be removed; run e2fsck");
      damaged();
    }
  }
  *why = note;
  return {};
}

Result<void> ExtImage::close() {
  while (!orphans_.empty() && fs_->writable()) {
    const NodeId ino = orphans_.back();
    TRY(begin(0));
    if (auto freed = free_inode(ino); !freed) {
      // e2fsck finds it on the list.
      fs_->found_error();
      break;
    }
  }
  holds_.clear();
  TRY(fs_->close());
  unlock();
  return {};
}

}  // namespace viewsh

#pragma once

#include <memory>
#include <string>

#include "syscalls/call.h"
#include "vfs/device_fs.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// A loop device of the view: what mount(8) puts between a file and mount(2). loop(4)
/// It can be read, so that blkid(8) knows what is on it, as it was when it was opened, and only its
/// beginning (kReadable); it can't be written. Mounts are made of the file itself.
/// The one with the number kControl is /dev/loop-control.
class LoopDevice final : public Device {
 public:
  static constexpr int kControl = -1;
  static constexpr uint64_t kReadable = uint64_t{64} << 20;
  explicit LoopDevice(int number) : number_(number) {}
  Attr attr() const override;
  Result<std::string> open(int flags) override;

  struct Bound {
    std::shared_ptr<const Mount> mount;  ///< of the file
    std::string path;                    ///< in the mount
    std::string view_path;
    uint64_t offset = 0;
    uint64_t limit = 0;  ///< bytes; 0: to its end
    uint32_t flags = 0;  ///< LO_FLAGS_*
    std::string name;    ///< as the binder said it
    /// Free for others, but umount(8), which without /sys can't know that, may still end it.
    bool ended = false;
  };
  int number() const { return number_; }
  std::optional<Bound>& bound() { return bound_; }

 private:
  int number_;
  UniqueFd object_;
  std::optional<Bound> bound_;
};

/// ioctl(2) on one, with the errors of drivers/block/loop.c.
Outcome loop_ioctl(Call& call, LoopDevice& loop, unsigned request, uint64_t argument);

/// What was mounted of `source` went: a loop device there that is to be free then
/// (LO_FLAGS_AUTOCLEAR).
void release_loop(Session& session, const std::string& source);

/// The one that a mounted node is; null: it is something else.
LoopDevice* loop_at(FileSystem& fs);

/// Where the view has the device of this number.
std::string loop_path(int number);

}  // namespace viewsh

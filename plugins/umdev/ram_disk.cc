#include "ram_disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node_attr.h"

namespace viewsh {
namespace {

constexpr uint64_t kSector = 512;
constexpr int kMaxBlock = 4096;

/// Puts a value at the start of an ioctl's block. EINVAL: the block is too short.
template <typename T>
Result<long> answer(std::string* argument, T value) {
  if (argument->size() < sizeof value) return Errno(EINVAL);
  ::memcpy(argument->data(), &value, sizeof value);
  return 0L;
}

class RamDisk final : public Device {
 public:
  RamDisk(int memory, uint64_t size, bool ro, Attr attr)
      : memory_(memory), size_(size), ro_(ro), attr_(attr) {}
  ~RamDisk() override { ::close(memory_); }
  RamDisk(const RamDisk&) = delete;
  RamDisk& operator=(const RamDisk&) = delete;

  Attr attr() const override { return attr_; }
  /// EACCES: for writing, and the disk is read-only. bdev_open() of block/bdev.c.
  Result<std::string> open(int flags) override {
    if (ro_ && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY) return Errno(EACCES);
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(memory_);
  }
  Result<long> ioctl(unsigned request, std::string* argument) override;

 private:
  Result<long> set_block_size(const std::string& argument);

  int memory_;
  uint64_t size_;
  bool ro_;
  Attr attr_;
  int block_ = kMaxBlock;
};

/// blkdev_ioctl() of block/ioctl.c. BLKBSZGET and BLKBSZSET carry an int, whatever their number
/// says.
Result<long> RamDisk::ioctl(unsigned request, std::string* argument) {
  switch (request) {
    case BLKGETSIZE64:
      return answer<uint64_t>(argument, size_);
    case BLKGETSIZE:
      return answer<unsigned long>(argument, size_ / kSector);
    case BLKSSZGET:
      return answer<int>(argument, static_cast<int>(kSector));
    case BLKPBSZGET:
      return answer<unsigned>(argument, static_cast<unsigned>(kSector));
    case BLKROGET:
      return answer<int>(argument, ro_ ? 1 : 0);
    case BLKBSZGET:
      return answer<int>(argument, block_);
    case BLKBSZSET:
      return set_block_size(*argument);
    case BLKFLSBUF:
      return 0L;
    default:
      return Errno(ENOTTY);
  }
}

Result<long> RamDisk::set_block_size(const std::string& argument) {
  int size = 0;
  if (argument.size() < sizeof size) return Errno(EINVAL);
  ::memcpy(&size, argument.data(), sizeof size);
  if (size < static_cast<int>(kSector) || size > kMaxBlock || (size & (size - 1)) != 0)
    return Errno(EINVAL);
  block_ = size;
  return 0L;
}

std::string check(const DeviceRequest& request) {
  if (!request.source.empty()) return "takes no source";
  if (request.seed) return "takes no seed";
  if (request.size == 0) return "needs a size";
  if (request.size % kSector != 0) return "size: not a multiple of 512";
  if (request.size > INT64_MAX) return "size: too large";
  for (const auto& [key, value] : request.options) {
    if (key != "mode" && key != "ro" && key != "rw") return "unknown option '" + key + "'";
  }
  return {};
}

}  // namespace

std::unique_ptr<Device> open_ram_disk(const DeviceRequest& request, MountError* error) {
  auto refuse = [&](Errno code, const std::string& why) {
    *error = {code, request.path + ": type ram: " + why};
    return nullptr;
  };
  std::string refused = check(request);
  if (!refused.empty()) return refuse(Errno(EINVAL), refused);
  mode_t mode = 0660;
  if (!option_mode(request, 0660, &mode)) return refuse(Errno(EINVAL), "mode: not an octal mode");
  bool ro = request.options.count("ro") > 0;
  int memory = ::memfd_create("viewsh-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0) return refuse(Errno::last(), Errno::last().message());
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (ro ? F_SEAL_WRITE : 0);
  if (::ftruncate(memory, static_cast<off_t>(request.size)) < 0 ||
      ::fcntl(memory, F_ADD_SEALS, seals) < 0) {
    Errno why = Errno::last();
    ::close(memory);
    return refuse(why, why.message());
  }
  Attr attr = node_attr(S_IFBLK, mode, 1, trailing_number(request.path));
  return std::make_unique<RamDisk>(memory, request.size, ro, attr);
}

}  // namespace viewsh

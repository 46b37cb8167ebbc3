#include "memory_devices.h"

#include <fcntl.h>

#include "node_attr.h"
#include "stream_feeder.h"

namespace viewsh {
namespace {

/// A device that the host has under a fixed name.
class HostDevice final : public Device {
 public:
  HostDevice(std::string host, Attr attr) : host_(std::move(host)), attr_(attr) {}
  Attr attr() const override { return attr_; }
  Result<std::string> open(int) override { return host_; }

 private:
  std::string host_;
  Attr attr_;
};

/// random(4) with a seed: the n-th open of the device reads the n-th stream of the seed, so that
/// two readers don't get the same bytes and a program that opens in the same order gets the same
/// ones.
///
/// What a task holds is a FIFO: a read gives at most 64 KiB, and lseek(2) is ESPIPE.
class SeededRandom final : public Device {
 public:
  SeededRandom(uint64_t seed, StreamFeeder& feeder, Attr attr)
      : seed_(seed), feeder_(feeder), attr_(attr) {}
  Attr attr() const override { return attr_; }
  Result<std::string> open(int flags) override {
    // Who only writes gives entropy, which a deterministic stream does not take.
    if ((flags & O_ACCMODE) == O_WRONLY) return std::string("/dev/null");
    if ((flags & O_PATH) != 0) return std::string("/dev/urandom");
    return feeder_.open(RandomStream(seed_, opens_++));
  }

 private:
  uint64_t seed_;
  StreamFeeder& feeder_;
  Attr attr_;
  uint64_t opens_ = 0;
};

/// Which of its two names random(4) has here; the minor number goes by it.
bool is_urandom(const std::string& path) {
  constexpr std::string_view kName = "urandom";
  return path.size() >= kName.size() &&
         path.compare(path.size() - kName.size(), kName.size(), kName) == 0;
}

}  // namespace

std::unique_ptr<Device> open_memory_device(const DeviceRequest& request, StreamFeeder& feeder,
                                           MountError* error) {
  const std::string& type = request.type;
  auto refuse = [&](std::string_view why) {
    *error = {Errno(EINVAL), request.path + ": type " + type + ": " + std::string(why)};
    return nullptr;
  };
  if (!request.source.empty()) return refuse("takes no source");
  if (request.size != 0) return refuse("takes no size");
  if (request.seed && type != "random") return refuse("takes no seed");
  for (const auto& [key, value] : request.options) {
    if (key != "mode") return refuse("unknown option '" + key + "'");
  }
  mode_t mode = 0666;
  if (!option_mode(request, 0666, &mode)) return refuse("mode: not an octal mode");
  bool urandom = is_urandom(request.path);
  unsigned minor = 3;
  if (type == "zero") minor = 5;
  if (type == "full") minor = 7;
  if (type == "random") minor = urandom ? 9 : 8;
  Attr attr = node_attr(S_IFCHR, mode, 1, minor);
  if (request.seed) return std::make_unique<SeededRandom>(*request.seed, feeder, attr);
  std::string host = type == "random" && urandom ? "/dev/urandom" : "/dev/" + type;
  return std::make_unique<HostDevice>(std::move(host), attr);
}

}  // namespace viewsh

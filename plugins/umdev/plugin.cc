#include "viewsh/plugin.h"

#include "memory_devices.h"
#include "ram_disk.h"
#include "stream_feeder.h"

namespace viewsh {
namespace {

/// The devices of one view.
class DevicePlugin final : public Plugin {
 public:
  explicit DevicePlugin(Host* host) : feeder_(*host) {}

  std::vector<std::string> device_types() const override {
    return {"null", "zero", "full", "random", "ram"};
  }

  std::unique_ptr<Device> open_device(const DeviceRequest& request, MountError* error) override {
    if (request.type == "ram") return open_ram_disk(request, error);
    for (const std::string& known : device_types()) {
      if (request.type == known) return open_memory_device(request, feeder_, error);
    }
    *error = {Errno(ENODEV), request.type + ": no such device type"};
    return nullptr;
  }

 private:
  StreamFeeder feeder_;
};

constexpr PluginEntry make_entry() {
  PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "umdev";
  entry.version = "0.1.0";
  entry.description = "Devices: null, zero, full, random (with a seed if wanted), RAM disks";
  entry.provides = "device:null device:zero device:full device:random device:ram";
  entry.create = [](Host* host) -> Plugin* { return new DevicePlugin(host); };
  return entry;
}

const PluginEntry kEntry = make_entry();

}  // namespace
}  // namespace viewsh

VIEWSH_PLUGIN(viewsh::kEntry)

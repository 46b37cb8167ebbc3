#include "parts.h"

namespace viewsh::viewfs {
namespace {

class Module final : public ArchiveModule {
 public:
  std::unique_ptr<LayerSink> writer(int fd, Compression compression, TransferMeter* meter,
                                    std::string* error) override {
    return make_writer(fd, compression, meter, error);
  }
  std::string read(int fd, LayerSink* sink, TransferMeter* meter) override {
    return read_archive(fd, sink, meter);
  }
};

}  // namespace
}  // namespace viewsh::viewfs

extern "C" __attribute__((visibility("default"))) viewsh::viewfs::ArchiveModule*
viewsh_archive_module() {
  static viewsh::viewfs::Module module;
  return &module;
}

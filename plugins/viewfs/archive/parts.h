#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <clocale>
#include <memory>
#include <string>

#include "transfer.h"

namespace viewsh::viewfs {

struct FreeArchive {
  void operator()(archive* a) const { archive_free(a); }
};
using Archive = std::unique_ptr<archive, FreeArchive>;
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

/// The character set that libarchive takes names for, in this thread, for as long as this lives.
class Characters {
 public:
  explicit Characters(const char* name) : mine_(newlocale(LC_CTYPE_MASK, name, nullptr)) {
    if (mine_ != nullptr) old_ = uselocale(mine_);
  }
  ~Characters() {
    if (mine_ == nullptr) return;
    uselocale(old_);
    freelocale(mine_);
  }
  Characters(const Characters&) = delete;
  Characters& operator=(const Characters&) = delete;

 private:
  locale_t mine_;
  locale_t old_ = nullptr;
};

inline std::string why(archive* a) {
  const char* text = archive_error_string(a);
  return text != nullptr ? text : "the archive library doesn't say why";
}

/// Names in an OCI layer that are marks.
inline constexpr char kMark[] = ".wh.";
inline constexpr char kOpaqueMark[] = ".wh..wh..opq";

std::unique_ptr<LayerSink> make_writer(int fd, Compression compression, TransferMeter* meter,
                                       std::string* error);
std::string read_archive(int fd, LayerSink* sink, TransferMeter* meter);

}  // namespace viewsh::viewfs

#include "cli/transfer_text.h"

#include "cli/interrupt.h"
#include "cli/text.h"

namespace viewsh {
namespace {

bool ends(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Compression compression_by_name(const std::string& file) {
  if (ends(file, ".gz") || ends(file, ".tgz")) return Compression::kGzip;
  if (ends(file, ".zst") || ends(file, ".tzst")) return Compression::kZstd;
  return Compression::kNone;
}

UserError parse_compression(const std::string& text, Compression* out) {
  if (text == "none") {
    *out = Compression::kNone;
  } else if (text == "gzip") {
    *out = Compression::kGzip;
  } else if (text == "zstd") {
    *out = Compression::kZstd;
  } else {
    return {"--compress: " + printable(text) + ": must be zstd, gzip or none"};
  }
  return {};
}

int tell_transfer(const std::string& text, const LayerStore::Answer<TransferReport>& answer,
                  bool json) {
  constexpr int kSignalled = 128;
  if (const int signal = Interrupt::signal(); signal != 0 && !answer.ok()) {
    return kSignalled + signal;
  }
  if (!answer.ok()) return fail_with({printable(answer.error)});
  const TransferReport& report = answer.value;
  for (const std::string& note : report.notes) print_error(printable(note));
  if (json) {
    print(json_text({{"files", report.nodes},
                     {"deletions", report.whiteouts},
                     {"bytes", report.bytes},
                     {"notes", report.notes}}));
  } else if (!text.empty()) {
    print(text + ": " + counted(report.nodes, "file", "files") + ", " +
          counted(report.whiteouts, "deletion", "deletions") + ", " + human_size(report.bytes) +
          "\n");
  }
  return 0;
}

}  // namespace viewsh

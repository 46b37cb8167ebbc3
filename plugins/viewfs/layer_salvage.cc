#include "layer_salvage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "layer.h"
#include "viewsh/long_path.h"

namespace viewsh::viewfs {
namespace {

/// The change that belongs to the last transaction was made.
bool was_done(const HostTest& test, int upper_fd) {
  if (test.kind == HostTest::Kind::kNone) return true;
  struct stat st {};
  const PathAt at(upper_fd, test.path);
  const bool there = fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) == 0;
  return test.kind == HostTest::Kind::kGone ? !there : there && st.st_ino == test.ino;
}

}  // namespace

Salvage Salvage::read(std::string_view log, int upper_fd) {
  Salvage out;
  std::optional<uint64_t> expected;
  bool unsettled = false;
  size_t number = 0;
  for (size_t at = 0; at < log.size();) {
    const size_t end = log.find('\n', at);
    const std::string_view line = log.substr(at, end - at);
    const std::string where =
        "log: line " + std::to_string(++number) + " (byte " + std::to_string(at) + ") ";
    const bool last = end == std::string_view::npos || end + 1 == log.size();
    at = end == std::string_view::npos ? log.size() : end + 1;
    const auto mark = end == std::string_view::npos ? std::nullopt : decode_text(line);
    out.clean = mark && *mark == "clean";
    if (!mark) {
      out.problems.push_back(where + (last ? "is cut off: what it recorded was not finished"
                                           : "is damaged: its checksum is wrong"));
      continue;
    }
    const auto count = state_count(*mark);
    if (count) expected = count;
    if (number == 1 && *mark != kLogWord) out.problems.push_back(where + "is not a log's first");
    if (boot_of(*mark)) continue;
    if (count || out.clean || *mark == kLogWord || *mark == "done") {
      unsettled = false;
      continue;
    }
    auto transaction = decode(line);
    if (!transaction) {
      out.problems.push_back(where + "holds a record that is not known");
      continue;
    }
    unsettled = transaction->test.kind != HostTest::Kind::kNone;
    out.history.push_back(std::move(*transaction));
  }
  if (!log.empty() && !expected && out.history.empty() && !out.clean && out.problems.empty()) {
    out.problems.push_back("log: is cut off: no record is left");
  }
  if (unsettled && !was_done(out.history.back().test, upper_fd)) out.history.pop_back();
  if (expected && out.history.size() < *expected) {
    out.problems.push_back("log: " + std::to_string(*expected - out.history.size()) + " of " +
                           std::to_string(*expected) + " records that it began with are missing");
  }
  return out;
}

}  // namespace viewsh::viewfs

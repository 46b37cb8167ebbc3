#include "cli/snapshot_text.h"

#include <algorithm>
#include <ctime>

#include "cli/layer_text.h"

namespace viewsh {
namespace {

/// "5 s", "3 min", "2 h", "9 d".
std::string age_text(int64_t seconds) {
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  seconds = std::max<int64_t>(seconds, 0);
  if (seconds < 2 * kMinute) return std::to_string(seconds) + " s";
  if (seconds < 2 * kHour) return std::to_string(seconds / kMinute) + " min";
  if (seconds < 2 * kDay) return std::to_string(seconds / kHour) + " h";
  return std::to_string(seconds / kDay) + " d";
}

}  // namespace

std::string snapshots_table(const std::vector<SnapshotInfo>& snapshots) {
  Table table({"SNAPSHOT", "TAKEN", "AGE", "SIZE", "CHANGES"});
  const int64_t now = time(nullptr);
  for (const SnapshotInfo& s : snapshots) {
    if (!s.damage.empty()) {
      table.add({printable(s.name), "-", "-", "-", printable(s.damage)});
      continue;
    }
    table.add({printable(s.name), local_time(s.taken), age_text(now - s.taken), human_size(s.bytes),
               std::to_string(s.changes)});
  }
  return table.text();
}

Json snapshots_json(const std::vector<SnapshotInfo>& snapshots) {
  Json list = Json::array();
  const int64_t now = time(nullptr);
  for (const SnapshotInfo& s : snapshots) {
    list.push_back({{"name", s.name},
                    {"taken", s.taken},
                    {"age", std::max<int64_t>(now - s.taken, 0)},
                    {"bytes", s.bytes},
                    {"changes", s.changes}});
    if (!s.damage.empty()) list.back()["damage"] = s.damage;
  }
  return list;
}

UserError layer_error(LayerStore* store, const std::string& layer, const std::string& error) {
  LayerInfo info;
  if (UserError missing = find_layer(store, layer, &info)) return missing;
  return {error};
}

int tell_verify(const std::string& layer, const VerifyReport& report) {
  for (const std::string& line : report.repaired) {
    print(printable(layer) + ": repaired: " + printable(line) + "\n");
  }
  for (const std::string& line : report.problems) {
    print(printable(layer) + ": " + printable(line) + "\n");
  }
  if (report.problems.empty() && report.repaired.empty()) print(printable(layer) + ": good\n");
  return report.problems.empty() ? 0 : 1;
}

}  // namespace viewsh

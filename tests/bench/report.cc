#include "report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace bench {
namespace {

std::string number(double value, int digits) {
  char text[64];
  snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string duration(double ns) {
  if (ns < 10'000) return number(ns, 0) + " ns";
  if (ns < 1e6) return number(ns / 1e3, 0) + " us";
  if (ns < 1e9) return number(ns / 1e6, 1) + " ms";
  return number(ns / 1e9, 2) + " s";
}

std::string cell_text(const Cell& cell, bool native) {
  if (cell.ns.empty()) return cell.error.empty() ? "-" : "failed";
  if (native) return duration(median(cell.ns));
  const double ratio = median(cell.ratios);
  return number(ratio, ratio < 10 ? 2 : 1);
}

std::string machine() {
  utsname name{};
  uname(&name);
  return std::string("Linux ") + name.release + ", " +
         std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " CPUs";
}

std::string table_of(const Report& report, const Options& options) {
  std::string text = machine() + ", median of " + std::to_string(options.rounds);
  text += options.rounds == 1 ? " round" : " rounds";
  if (options.quick) text += ", quick";
  text += "; ratios to the native run of the same round\n\n| workload |";
  std::string rule = "|---|";
  for (const Wrapper& wrapper : report.wrappers) {
    if (!wrapper.usable()) continue;
    text.append(" ").append(wrapper.name).append(" |");
    rule += "---|";
  }
  text.append("\n").append(rule).append("\n");
  for (const Row& row : report.rows) {
    if (!row.skipped.empty()) continue;
    text.append("| ").append(row.title).append(" |");
    for (const Wrapper& wrapper : report.wrappers) {
      if (!wrapper.usable()) continue;
      const std::string cell = cell_text(row.cells.at(wrapper.name), wrapper.name == "native");
      text.append(" ").append(cell).append(" |");
    }
    text += "\n";
  }
  return text;
}

std::string memory_lines(const std::vector<Memory>& all) {
  if (all.empty()) return "";
  std::string text = "\n| view | tasks | peak memory of the engine |\n|---|---|---|\n";
  for (const Memory& memory : all) {
    text += "| " + memory.config + " | " + std::to_string(memory.tasks) + " | ";
    text += memory.peak_kib > 0 ? std::to_string(memory.peak_kib) + " KiB" : memory.error;
    text += " |\n";
  }
  for (size_t i = 1; i < all.size(); ++i) {
    const Memory& one = all[i - 1];
    const Memory& many = all[i];
    if (one.config != many.config || one.peak_kib == 0 || many.peak_kib == 0) continue;
    const double each = static_cast<double>(many.peak_kib - one.peak_kib) * 1024.0 /
                        static_cast<double>(many.tasks - one.tasks);
    text += "\n" + one.config + ": " + number(each, 0) + " bytes a task\n";
  }
  return text;
}

std::string notes(const Report& report) {
  std::string text;
  for (const Wrapper& wrapper : report.wrappers) {
    if (!wrapper.usable()) text += "- " + wrapper.name + ": " + wrapper.missing + "\n";
  }
  for (const Row& row : report.rows) {
    if (!row.skipped.empty()) text += "- " + row.title + " skipped: " + row.skipped + "\n";
    for (const auto& [name, cell] : row.cells) {
      if (cell.error.empty()) continue;
      text += "- " + row.title + " in " + name + ": " + cell.error + "\n";
    }
  }
  return text.empty() ? "" : "\n" + text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string list_of(const std::vector<double>& values) {
  std::string text = "[";
  for (const double value : values) {
    if (text.size() > 1) text += ", ";
    text += number(value, 3);
  }
  return text + "]";
}

std::string json_of(const Row& row) {
  std::string text = "    {\"name\": " + quoted(row.name) + ", \"title\": " + quoted(row.title);
  if (!row.skipped.empty()) return text + ", \"skipped\": " + quoted(row.skipped) + "}";
  text += ", \"configs\": {";
  bool first = true;
  for (const auto& [name, cell] : row.cells) {
    text += first ? "\n" : ",\n";
    first = false;
    text += "      " + quoted(name) + ": {\"ns\": " + list_of(cell.ns);
    if (!cell.ratios.empty()) {
      text += ", \"ratios\": " + list_of(cell.ratios) +
              ", \"ratio\": " + number(median(cell.ratios), 3);
    }
    if (!cell.error.empty()) text += ", \"error\": " + quoted(cell.error);
    text += "}";
  }
  return text + "}}";
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string as_markdown(const Report& report, const Options& options) {
  std::string text = report.rows.empty() ? "" : table_of(report, options);
  text += memory_lines(report.memory);
  text += notes(report);
  return text;
}

std::string as_json(const Report& report, const Options& options) {
  std::string text = "{\n  \"machine\": " + quoted(machine()) +
                     ",\n  \"rounds\": " + std::to_string(options.rounds) +
                     ",\n  \"quick\": " + (options.quick ? "true" : "false") +
                     ",\n  \"unusable\": {";
  std::string separator;
  for (const Wrapper& wrapper : report.wrappers) {
    if (wrapper.usable()) continue;
    text += separator + quoted(wrapper.name) + ": " + quoted(wrapper.missing);
    separator = ", ";
  }
  text += "},\n  \"workloads\": [";
  separator = "\n";
  for (const Row& row : report.rows) {
    text += separator + json_of(row);
    separator = ",\n";
  }
  text += "\n  ],\n  \"memory\": [";
  separator = "\n";
  for (const Memory& memory : report.memory) {
    text += separator + "    {\"config\": " + quoted(memory.config) +
            ", \"tasks\": " + std::to_string(memory.tasks) +
            ", \"peak_kib\": " + std::to_string(memory.peak_kib) +
            ", \"error\": " + quoted(memory.error) + "}";
    separator = ",\n";
  }
  return text + "\n  ]\n}\n";
}

bool incomplete(const Report& report) {
  const auto bad_row = [](const Row& row) {
    return std::any_of(row.cells.begin(), row.cells.end(),
                       [](const auto& item) { return !item.second.error.empty(); });
  };
  return std::any_of(report.wrappers.begin(), report.wrappers.end(),
                     [](const Wrapper& wrapper) { return !wrapper.usable(); }) ||
         std::any_of(report.rows.begin(), report.rows.end(), bad_row) ||
         std::any_of(report.memory.begin(), report.memory.end(),
                     [](const Memory& memory) { return memory.peak_kib == 0; });
}

}  // namespace bench

#include "report.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace viewsh {

namespace {

constexpr const char* kOutcomeNames[] = {"as is", "answered", "rewritten", "prepared"};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 32) {
      char code[8];
      snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string result_text(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::kReturn) {
    if (outcome.value < 0 && outcome.value > -4096) {
      return "-1 " + std::string(strerrorname_np(static_cast<int>(-outcome.value)));
    }
    return std::to_string(outcome.value);
  }
  if (outcome.kind == Outcome::Kind::kRewritten && !outcome.texts.empty()) {
    return "-> " + quoted(outcome.texts[0].bytes.c_str());
  }
  return "?";
}

}  // namespace

void Report::count(long nr, const Outcome& outcome, int64_t nanoseconds) {
  if (!stats_) return;
  Line& line = lines_[nr];
  ++line.count;
  ++line.by_outcome[static_cast<size_t>(outcome.kind)];
  line.nanoseconds += nanoseconds;
}

void Report::trace(pid_t tid, const Row& row, Call& call, const Outcome& outcome) {
  if (!trace_) return;
  std::string line = std::to_string(tid) + " " + std::string(row.name) + "(";
  for (unsigned i = 0; i < 6; ++i) {
    if (i > 0) line += ", ";
    auto path = std::find_if(call.paths().begin(), call.paths().end(),
                             [i](const UserPath& read) { return read.argument == i; });
    if (path != call.paths().end()) {
      line += quoted(path->text);
      continue;
    }
    char number[32];
    snprintf(number, sizeof number, "%#llx", static_cast<unsigned long long>(call.argument(i)));
    line += number;
  }
  line += ") = " + result_text(outcome) + "  [" + kOutcomeNames[static_cast<size_t>(outcome.kind)] + "]\n";
  fputs(line.c_str(), trace_file_);
  fflush(trace_file_);
}

void Report::trace_signal(pid_t tid, int signal, const std::optional<siginfo_t>& info) {
  if (!trace_) return;
  const char* name = signal == 0 ? "signal for viewsh" : sigabbrev_np(signal);
  std::string line = std::to_string(tid) + " --- " + (name == nullptr ? std::to_string(signal) : name);
  if (info) {
    line += " code " + std::to_string(info->si_code);
    char cause[64] = "";
    if (signal == SIGSYS) {
      snprintf(cause, sizeof cause, " call %d at %p", info->si_syscall, info->si_call_addr);
    } else if (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGTRAP) {
      snprintf(cause, sizeof cause, " at %p", info->si_addr);
    } else if (info->si_code <= 0) {
      snprintf(cause, sizeof cause, " from %d", info->si_pid);
    }
    line += cause;
  }
  fputs((line + " ---\n").c_str(), trace_file_);
  fflush(trace_file_);
}

void Report::print_stats() const {
  if (!stats_) return;
  uint64_t total = 0;
  int64_t time = 0;
  std::vector<std::pair<long, Line>> sorted(lines_.begin(), lines_.end());
  for (const auto& [nr, line] : sorted) {
    total += line.count;
    time += line.nanoseconds;
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.count > b.second.count; });
  fprintf(stderr, "viewsh: trapped calls: %llu\n", static_cast<unsigned long long>(total));
  for (const auto& [nr, line] : sorted) {
    const Row* row = row_of(nr);
    fprintf(stderr, "viewsh:   %-20s %10llu", row == nullptr ? "?" : std::string(row->name).c_str(),
            static_cast<unsigned long long>(line.count));
    for (size_t i = 0; i < 4; ++i) {
      if (line.by_outcome[i] == 0) continue;
      fprintf(stderr, "  %s %llu", kOutcomeNames[i],
              static_cast<unsigned long long>(line.by_outcome[i]));
    }
    fprintf(stderr, "  %.1f ms\n", static_cast<double>(line.nanoseconds) / 1e6);
  }
  if (total > 0) fprintf(stderr, "viewsh: time in the engine: %.1f ms\n", static_cast<double>(time) / 1e6);
}

}  // namespace viewsh

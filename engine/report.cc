#include "report.h"

#include <fcntl.h>

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

std::string formatted(const char* format, unsigned long long value) {
  char text[32];
  snprintf(text, sizeof text, format, value);
  return text;
}

/// As the handler's signature understands the register. What it doesn't know (the buffer of a call
/// that only needs its path, say) is not told.
std::string argument_text(const Call& call, unsigned index, ArgumentKind kind) {
  auto path = std::find_if(call.paths().begin(), call.paths().end(),
                           [index](const UserPath& read) { return read.argument == index; });
  if (path != call.paths().end()) return quoted(path->text);
  uint64_t value = call.argument(index);
  constexpr uint64_t kFirstAddress = uint64_t{1} << 32;
  switch (kind) {
    case ArgumentKind::kDirFd:
      if (static_cast<int>(value) == AT_FDCWD) return "AT_FDCWD";
      [[fallthrough]];
    case ArgumentKind::kInt:
      return std::to_string(static_cast<int>(value));
    case ArgumentKind::kUnsigned:
      return std::to_string(static_cast<unsigned>(value));
    case ArgumentKind::kFlags:
      return formatted("%#llx", static_cast<unsigned>(value));
    case ArgumentKind::kMode:
      return formatted("%#llo", static_cast<unsigned>(value));
    case ArgumentKind::kAddress:
      return value == 0 ? "NULL" : formatted("%#llx", value);
    case ArgumentKind::kLong:
      return value < kFirstAddress ? std::to_string(value) : formatted("%#llx", value);
  }
  return "";
}

/// As strace(1) has it.
std::string result_text(std::optional<long> result) {
  if (!result) return "?";
  if (*result >= 0 || *result <= -4096) return std::to_string(*result);
  auto error = static_cast<int>(-*result);
  const char* name = strerrorname_np(error);
  return "-1 " + (name == nullptr ? std::to_string(error) : std::string(name)) + " (" +
         strerror(error) + ")";
}

}  // namespace

void Report::count(long nr, Outcome::Kind kind) {
  if (!stats_) return;
  Count& line = counts_[nr];
  ++line.count;
  ++line.by_outcome[static_cast<size_t>(kind)];
}

void Report::add_time(long nr, int64_t nanoseconds) {
  if (stats_) counts_[nr].nanoseconds += nanoseconds;
}

Report::Line Report::describe(pid_t tid, const Row& row, const Call& call,
                              const Outcome& outcome) const {
  if (!trace_) return {};
  Line line{std::to_string(tid) + " " + std::string(row.name) + "(", "  ["};
  for (unsigned i = 0; i < call.signature().size(); ++i) {
    line.call += (i > 0 ? ", " : "") + argument_text(call, i, call.signature()[i]);
  }
  line.call += ") = ";
  line.outcome += kOutcomeNames[static_cast<size_t>(outcome.kind)];
  bool path = outcome.kind == Outcome::Kind::kRewritten && !outcome.texts.empty();
  if (path) line.outcome += ": " + quoted(outcome.texts[0].bytes.c_str());
  line.outcome += "]\n";
  return line;
}

void Report::begin(pid_t tid, Line line) {
  if (!trace_) return;
  end(tid, std::nullopt);
  under_way_[tid] = std::move(line);
}

void Report::end(pid_t tid, std::optional<long> result) {
  auto it = under_way_.find(tid);
  if (it == under_way_.end()) return;
  fputs((it->second.call + result_text(result) + it->second.outcome).c_str(), trace_file_);
  fflush(trace_file_);
  under_way_.erase(it);
}

void Report::trace_signal(pid_t tid, int signal, const std::optional<siginfo_t>& info) {
  if (!trace_) return;
  const char* name = signal == 0 ? "signal for viewsh" : sigabbrev_np(signal);
  std::string line =
      std::to_string(tid) + " --- " + (name == nullptr ? std::to_string(signal) : name);
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
  std::vector<std::pair<long, Count>> sorted(counts_.begin(), counts_.end());
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
  if (total > 0)
    fprintf(stderr, "viewsh: time in the engine: %.1f ms\n", static_cast<double>(time) / 1e6);
}

}  // namespace viewsh

#include "round.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "dump.h"
#include "run.h"
#include "worker.h"

namespace viewsh_model {
namespace {

constexpr DumpHow kUnlocked = {.exact = false, .unlock = true};

/// A script's run in a view, step by step; each step returns what is wrong.
class ViewRun {
 public:
  ViewRun(const Round& round, Layout& layout, const Script& script)
      : round_(round), config_(*round.config), layout_(layout), script_(phases(script)) {}

  std::string run(const std::string& native_log, const std::string& native_tree) {
    prepare(config_, layout_, round_.seed);
    const bool reads_only = !config_.through && result_dir(config_, layout_) != layout_.at("a");
    const std::string before = reads_only ? lower_state(config_, layout_) : "";
    std::string problem = run_script(native_log, native_tree);
    if (problem.empty()) problem = image_faults(config_, layout_);
    if (problem.empty() && (config_.layer || config_.image || config_.served))
      problem = look_again(native_tree);
    if (reads_only && before != lower_state(config_, layout_)) {
      return problem + "the lower was written to:\n" +
             difference(before, lower_state(config_, layout_));
    }
    return problem;
  }

  /// What the script printed in the view, and the tree behind it.
  const std::string& log() const { return log_; }

  std::string finish(const std::string& native_tree, const std::string& native_unlocked) {
    const std::string result = result_dir(config_, layout_);
    const std::string before = config_.commit ? lower_state(config_, layout_) : "";
    if (config_.layer) {
      std::string problem = command({"diff", "work"}, nullptr);
      const bool discard = round_.discard || !config_.commit;
      if (problem.empty()) problem = command({discard ? "discard" : "commit", "work"}, nullptr);
      if (!problem.empty()) return problem;
      if (discard && config_.commit) {
        return before == lower_state(config_, layout_) ? "" : "discard wrote to the lower\n";
      }
    }
    if (result.empty()) return "";
    std::string problem = difference(native_tree, dump(result, {}));
    if (problem.empty()) problem = difference(native_unlocked, dump(result, kUnlocked));
    if (problem.empty()) return "";
    return (config_.commit ? "after commit:\n" : "the source afterwards:\n") + problem;
  }

 private:
  std::string run_script(const std::string& native_log, const std::string& native_tree) {
    std::string log;
    for (size_t i = 0; i < script_.size(); ++i) {
      const std::string file = layout_.fresh("script");
      write_text(file, format(script_[i]));
      auto argv = view_command(config_, layout_, i);
      for (const std::string& word : {own_path(), std::string("--worker"), layout_.work(), file}) {
        argv.push_back(word);
      }
      // What isn't named ends with the view, so the tree is told by the same process.
      if (i + 1 == script_.size()) argv.push_back("--dump");
      std::string problem = program(argv, &log);
      if (!problem.empty()) return problem;
    }
    log_ = log;
    return difference(native_log + native_tree, log);
  }

  /// A later view, and a process that made none of the changes, see the same.
  std::string look_again(const std::string& native_tree) {
    const std::string file = layout_.fresh("script");
    write_text(file, "");
    auto argv = view_command(config_, layout_, script_.size() - 1);
    for (const std::string& word :
         {own_path(), std::string("--worker"), layout_.work(), file, std::string("--dump")}) {
      argv.push_back(word);
    }
    std::string log;
    std::string problem = program(argv, &log);
    if (problem.empty()) problem = difference(native_tree, log);
    return problem.empty() ? "" : "in a later view:\n" + problem;
  }

  std::string command(std::vector<std::string> words, std::string* out) {
    words.insert(words.begin(), viewsh_path());
    return program(words, out);
  }

  std::string program(const std::vector<std::string>& argv, std::string* out) {
    const std::string stdout_file = layout_.fresh("out");
    const std::string stderr_file = layout_.fresh("err");
    const Finished done =
        run_program(argv, stdout_file, stderr_file, 60 + static_cast<int>(round_.ops / 20));
    if (out != nullptr) *out += read_text(stdout_file);
    const std::string errors = read_text(stderr_file);
    if (done.ok() && errors.empty()) return "";
    std::string words;
    for (const std::string& word : argv) words += " " + word;
    return "$" + words + "\n" + done.text() + "\n" + errors;
  }

  const Round& round_;
  const Config& config_;
  Layout& layout_;
  std::vector<Script> script_;
  std::string log_;
};

Script whole_script(const Round& round, const Script& drawn) {
  if (!round.config->empty) return drawn;
  Script out = initial_tree(round.seed);
  out.insert(out.end(), drawn.begin(), drawn.end());
  return out;
}

void make_work(const Round& round, Layout& layout) {
  if (mkdir(layout.work().c_str(), 0755) != 0) die("mkdir " + layout.work());
  if (!round.config->empty) make_tree(layout, layout.work(), round.seed);
}

/// The operation of a script that printed line `line`: restarts print none.
Op* op_of_line(Script* script, size_t line) {
  for (Op& op : *script) {
    if (op.verb != "restart" && line-- == 0) return &op;
  }
  return nullptr;
}

/// One comparison. `native` is `script`, perhaps with operations that are known to be limited.
std::string compare_once(const Round& round, const Script& script, Script* native) {
  Layout layout(*round.config);
  make_work(round, layout);
  const std::string log = run_natively(layout, layout.work(), *native);
  const std::string tree = dump(layout.work(), {});
  const std::string unlocked = dump(layout.work(), kUnlocked);
  clear(*round.config, layout);
  ViewRun view(round, layout, script);
  const std::string problem = view.run(log, tree);
  if (!problem.empty()) {
    note_limit(log, view.log(), native);
    return problem;
  }
  return view.finish(tree, unlocked);
}

}  // namespace

void note_limit(const std::string& native_log, const std::string& view_log, Script* script) {
  const auto native = lines_of(native_log);
  const auto view = lines_of(view_log);
  size_t i = 0;
  while (i < native.size() && i < view.size() && native[i] == view[i]) ++i;
  if (i >= native.size() || i >= view.size()) return;
  Op* op = op_of_line(script, i);
  if (op == nullptr || op->verb == "limit") return;
  const std::string start = format(*op) + " = ";
  if (!view[i].starts_with(start)) return;
  const std::string result = view[i].substr(start.size());
  if (!may_be_limit(op->verb, result)) return;
  op->args.insert(op->args.begin(), {result, op->verb});
  op->verb = "limit";
}

size_t count_limits(const Script& script) {
  return static_cast<size_t>(
      std::count_if(script.begin(), script.end(), [](const Op& op) { return op.verb == "limit"; }));
}

Script draw_script(const Round& round) {
  Layout layout(*round.config);
  if (mkdir(layout.work().c_str(), 0755) != 0) die("mkdir " + layout.work());
  make_tree(layout, layout.work(), round.seed);
  const std::string out = layout.at("drawn");
  const std::string err = layout.at("drawn-err");
  const bool keeps = round.config->layer || round.config->image || round.config->served;
  std::vector<std::string> argv = {own_path(),
                                   "--draw",
                                   layout.work(),
                                   std::to_string(round.seed),
                                   std::to_string(round.ops),
                                   keeps ? "1" : "0"};
  argv.insert(argv.end(), round.without.begin(), round.without.end());
  // To libfuse's high-level interface each name of a file is another file, so that what is written
  // to one shows in the other when it is closed.
  if (round.config->served) argv.insert(argv.end(), {"link", "giveaname"});
  const Finished done = run_program(argv, out, err, 600);
  if (!done.ok()) die("drawing: " + done.text() + ": " + read_text(err));
  Script script = parse_script(read_text(out));
  // The layer on top is a later view's.
  if (round.config->name == "over-cow") {
    script.insert(script.begin() + static_cast<std::ptrdiff_t>(script.size() / 2), {"restart", {}});
  }
  // A layer more each time.
  if (round.config->name == "layers") {
    const auto third = static_cast<std::ptrdiff_t>(script.size() / 3);
    script.insert(script.begin() + 2 * third, {"restart", {}});
    script.insert(script.begin() + third, {"restart", {}});
  }
  return script;
}

std::string compare(const Round& round, const Script& drawn) {
  const Script script = whole_script(round, drawn);
  Script native = script;
  for (;;) {
    const size_t limited = count_limits(native);
    std::string problem = compare_once(round, script, &native);
    // Nothing more was noted: this is a difference.
    if (problem.empty() || count_limits(native) == limited) return problem;
  }
}

}  // namespace viewsh_model

// Several workers at once in one view.
#include "parallel.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "dump.h"
#include "round.h"
#include "run.h"
#include "worker.h"

namespace viewsh_model {
namespace {

struct Child {
  pid_t pid;
  int out;
};

Child start_worker(const std::string& root, const std::string& file) {
  const Script script = parse_script(read_text(file));
  // In memory: a file would be one of the view's.
  const int out = memfd_create("log", 0);
  const pid_t pid = fork();
  if (pid != 0) return {pid, out};
  Worker worker(root);
  for (const Op& op : script) {
    const std::string line = worker.run(op) + "\n";
    if (write(out, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(2);
  }
  _exit(0);
}

/// Results that no operation of a script may have, whatever the others do.
std::string impossible(const std::string& log) {
  std::string out;
  for (const std::string& line : lines_of(log)) {
    for (const char* word : {"EIO", "ESTALE", "EFAULT", "ENOSYS", "EUCLEAN", "EREMOTEIO", "TWICE",
                             "ENODEV", "EBADMSG", "ENOSPC"}) {
      if (line.find(word, line.find(" = ")) != std::string::npos) out += "  " + line + "\n";
    }
  }
  return out;
}

/// What native workers printed, one after the other.
struct Natively {
  std::string log;
  std::string trees;
};

std::string root_of(const Layout& layout, size_t worker, bool shared) {
  return shared ? layout.work() : layout.work() + "/p" + std::to_string(worker);
}

void fill_work(const Round& round, Layout& layout, size_t workers, bool shared) {
  mkdir(layout.work().c_str(), 0755);
  if (shared) make_tree(layout, layout.work(), round.seed);
  for (size_t i = 0; !shared && i < workers; ++i) {
    const std::string root = root_of(layout, i, shared);
    mkdir(root.c_str(), 0755);
    make_tree(layout, root, round.seed);
  }
}

std::vector<Script> draw_each(const Round& round, size_t workers) {
  std::vector<Script> out(workers);
  for (size_t i = 0; i < workers; ++i) {
    Round own = round;
    own.seed = round.seed + static_cast<uint32_t>(i) * 1000;
    for (const Op& op : draw_script(own)) {
      if (op.verb != "restart") out[i].push_back(op);
    }
  }
  return out;
}

Script joined(const std::vector<Script>& scripts) {
  Script out;
  for (const Script& script : scripts) out.insert(out.end(), script.begin(), script.end());
  return out;
}

/// Each in its directory, one after the other; `script` is that of all of them.
Natively run_each_natively(const Round& round, Layout& layout, const std::vector<Script>& scripts,
                           const Script& script) {
  Natively out;
  fill_work(round, layout, scripts.size(), false);
  auto from = script.begin();
  for (size_t i = 0; i < scripts.size(); ++i) {
    const auto end = from + static_cast<std::ptrdiff_t>(scripts[i].size());
    const std::string root = root_of(layout, i, false);
    out.log += run_natively(layout, root, {from, end});
    out.trees += dump(root, {});
    from = end;
  }
  clear(*round.config, layout);
  return out;
}

/// The words of --workers-of.
std::vector<std::string> worker_words(Layout& layout, const std::vector<Script>& scripts,
                                      bool shared) {
  std::vector<std::string> out;
  for (size_t i = 0; i < scripts.size(); ++i) {
    const std::string file = layout.fresh("script");
    write_text(file, format(scripts[i]));
    out.push_back(root_of(layout, i, shared));
    out.push_back(file);
  }
  return out;
}

std::string check_shared(const Round& round, Layout& layout, const std::string& text) {
  const std::string bad = impossible(text);
  if (!bad.empty()) return "results that can't be:\n" + bad;
  const size_t end = text.find("--- tree\n");
  if (end == std::string::npos) return "the tree wasn't told\n";
  const std::string tree = text.substr(end + 9);
  if (tree.find("link faults") != std::string::npos) return tree;
  if (!round.config->commit || round.discard) return "";
  const std::string out = layout.fresh("out");
  const std::string err = layout.fresh("err");
  const Finished done = run_program({viewsh_path(), "commit", "work"}, out, err, 60);
  if (!done.ok()) return "commit: " + done.text() + ": " + read_text(err);
  const std::string problem = difference(tree, dump(layout.work(), {}));
  return problem.empty() ? "" : "after commit (native is the view):\n" + problem;
}

/// One comparison. `native`: the scripts one behind the other, perhaps with operations that are
/// known to be limited.
std::string compare_many_once(const Round& round, const std::vector<Script>& scripts, bool shared,
                              Script* native) {
  Layout layout(*round.config);
  const Natively expected =
      shared ? Natively() : run_each_natively(round, layout, scripts, *native);
  fill_work(round, layout, scripts.size(), shared);
  const std::string before = lower_state(*round.config, layout);
  auto argv = view_command(*round.config, layout, 1);
  argv.push_back(own_path());
  argv.push_back("--workers-of");
  const auto words = worker_words(layout, scripts, shared);
  argv.insert(argv.end(), words.begin(), words.end());
  const std::string out = layout.fresh("out");
  const std::string err = layout.fresh("err");
  const Finished done =
      run_program(argv, out, err, 60 + static_cast<int>(scripts.size() * round.ops / 20));
  const std::string text = read_text(out);
  if (!done.ok()) return done.text() + ": " + read_text(err) + text.substr(0, 500);
  if (before != lower_state(*round.config, layout)) return "the lower was written to\n";
  if (shared) return check_shared(round, layout, text);
  std::string problem = difference(expected.log + "--- tree\n" + expected.trees, text);
  if (!problem.empty()) note_limit(expected.log, text, native);
  return problem;
}

}  // namespace

int run_workers(const std::vector<std::string>& args) {
  std::vector<Child> children;
  std::set<std::string> roots;
  for (size_t i = 1; i + 1 < args.size(); i += 2) {
    children.push_back(start_worker(args[i], args[i + 1]));
    roots.insert(args[i]);
  }
  bool good = true;
  for (const Child& child : children) {
    int status = 0;
    waitpid(child.pid, &status, 0);
    if (status != 0) std::printf("a worker ended with wait status %d\n", status);
    good = good && status == 0;
    lseek(child.out, 0, SEEK_SET);
    char buffer[1 << 16];
    for (ssize_t n = 0; (n = read(child.out, buffer, sizeof(buffer))) > 0;) {
      std::fwrite(buffer, 1, static_cast<size_t>(n), stdout);
    }
  }
  std::printf("--- tree\n");
  for (const std::string& root : roots) {
    const std::string faults = link_faults(root);
    if (!faults.empty()) std::printf("link faults:\n%s", faults.c_str());
    std::printf("%s", dump(root, {}).c_str());
  }
  return std::fflush(stdout) == 0 && good ? 0 : 2;
}

std::string compare_many(const Round& round, size_t workers, bool shared) {
  if (round.config->empty || round.config->name == "merge" || round.config->name == "bind" ||
      round.config->name == "over-merge") {
    return "several workers: not for this configuration\n";
  }
  const std::vector<Script> scripts = draw_each(round, workers);
  Script native = joined(scripts);
  for (;;) {
    const size_t limited = count_limits(native);
    std::string problem = compare_many_once(round, scripts, shared, &native);
    // Nothing more was noted: this is a difference.
    if (problem.empty() || count_limits(native) == limited) return problem;
  }
}

}  // namespace viewsh_model

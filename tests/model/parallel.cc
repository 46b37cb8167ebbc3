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

struct Runs {
  std::vector<std::string> words;  ///< of --workers-of
  std::string log;                 ///< what native workers printed
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

/// The workers' scripts, and what they give one after the other.
Runs run_each_natively(const Round& round, Layout& layout, size_t workers, bool shared) {
  Runs out;
  fill_work(round, layout, workers, shared);
  for (size_t i = 0; i < workers; ++i) {
    Round own = round;
    own.seed = round.seed + static_cast<uint32_t>(i) * 1000;
    Script script;
    for (const Op& op : draw_script(own)) {
      if (op.verb != "restart") script.push_back(op);
    }
    const std::string file = layout.fresh("script");
    write_text(file, format(script));
    const std::string root = root_of(layout, i, shared);
    out.words.push_back(root);
    out.words.push_back(file);
    if (shared) continue;
    out.log += run_natively(layout, root, script);
    out.trees += dump(root, {});
  }
  clear(*round.config, layout);
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
  Layout layout(*round.config);
  if (round.config->empty || round.config->name == "merge" || round.config->name == "bind" ||
      round.config->name == "over-merge") {
    return "several workers: not for this configuration\n";
  }
  const Runs native = run_each_natively(round, layout, workers, shared);
  fill_work(round, layout, workers, shared);
  const std::string before = lower_state(*round.config, layout);
  auto argv = view_command(*round.config, layout, 1);
  argv.push_back(own_path());
  argv.push_back("--workers-of");
  argv.insert(argv.end(), native.words.begin(), native.words.end());
  const std::string out = layout.fresh("out");
  const std::string err = layout.fresh("err");
  const Finished done =
      run_program(argv, out, err, 60 + static_cast<int>(workers * round.ops / 20));
  const std::string text = read_text(out);
  if (!done.ok()) return done.text() + ": " + read_text(err) + text.substr(0, 500);
  if (before != lower_state(*round.config, layout)) return "the lower was written to\n";
  if (shared) return check_shared(round, layout, text);
  return difference(native.log + "--- tree\n" + native.trees, text);
}

}  // namespace viewsh_model

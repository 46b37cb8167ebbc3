// bench: how much slower than natively does a program run in a view, and in the peers?
//
// Each workload runs natively, in a bind view, in a copy-on-write view and in the peers that are
// installed, one after the other in every round, so that a slow moment of the machine hits all of
// them. What counts is the median of the ratios to the native run of the same round.

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "images.h"
#include "inside.h"
#include "memory.h"
#include "report.h"

namespace bench {
namespace {

/// Root gives itself up: the figures are those of an ordinary user. credentials(7).
void drop_root() {
  if (geteuid() != 0) return;
  uid_t uid = 54321;
  while (getpwuid(uid) != nullptr || getgrgid(uid) != nullptr) ++uid;
  if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 ||
      setresuid(uid, uid, uid) != 0) {
    die(std::string("giving up root: ") + strerror(errno));
  }
  prctl(PR_SET_DUMPABLE, 1);
}

std::string own_path() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) die("/proc/self/exe can't be read");
  return {path, static_cast<size_t>(size)};
}

Scratch make_scratch(const Options& options) {
  const char* tmp = getenv("TMPDIR");
  std::string dir = !options.dir.empty() ? options.dir : tmp != nullptr ? tmp : "/var/tmp";
  if (access(dir.c_str(), W_OK | X_OK) != 0) dir = "/var/tmp";
  std::string pattern = dir + "/viewsh-bench.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) die(dir + ": " + strerror(errno));
  Scratch scratch{pattern, pattern + "/home/work", pattern + "/home/view", pattern + "/logs",
                  pattern + "/home"};
  for (const std::string& made : {scratch.work, scratch.view, scratch.logs}) {
    std::filesystem::create_directories(made);
  }
  return scratch;
}

/// The same small environment for every run.
void set_environment(const Scratch& scratch) {
  clearenv();
  setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", 1);
  setenv("HOME", scratch.home.c_str(), 1);
  setenv("LC_ALL", "C", 1);
  setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  umask(022);
}

std::string g_to_remove;  ///< Scratch::top, removed however the program ends

void remove_scratch() {
  if (g_to_remove.empty()) return;
  // A killed view may have left directories that can't be searched.
  constexpr char kScript[] = "chmod -R u+rwX \"$1\" 2>/dev/null; rm -rf \"$1\"";
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);  // a second Ctrl-C doesn't stop it
    execl("/bin/sh", "sh", "-c", kScript, "sh", g_to_remove.c_str(), nullptr);
    _exit(127);
  }
  while (pid > 0 && waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// One line that replaces the one before; nothing where standard error is no terminal.
void show_progress(const std::string& text) {
  if (isatty(2) == 1) fprintf(stderr, "\r\033[K%s", text.c_str());
}

Row run_workload(const Workload& workload, const std::vector<Wrapper>& wrappers,
                 const std::string& self, const Scratch& scratch, const Options& options) {
  Row row{workload.name, workload.title, skip_reason(workload, options), {}};
  if (!row.skipped.empty()) return row;
  Inputs inputs(scratch, options);
  for (int round = 0; round < options.rounds && !interrupted(); ++round) {
    std::optional<double> native;
    for (const Wrapper& wrapper : wrappers) {
      Cell& cell = row.cells[wrapper.name];
      if (!wrapper.usable() || interrupted()) continue;
      show_progress(workload.title + ", round " + std::to_string(round + 1) + ", " + wrapper.name);
      workload.prepare(inputs);
      const auto ns = measure(workload, wrapper, self, scratch, options, &cell.error);
      if (!ns) continue;
      cell.ns.push_back(*ns);
      if (wrapper.name == "native")
        native = ns;
      else if (native)
        cell.ratios.push_back(*ns / *native);
    }
  }
  show_progress("");
  return row;
}

std::vector<Workload> chosen(const Options& options) {
  std::vector<Workload> all = all_workloads(options);
  if (options.workloads.empty()) return all;
  std::vector<Workload> some;
  for (const std::string& name : options.workloads) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Workload& one) { return one.name == name; });
    if (found == all.end()) die("--workloads " + name + ": no such workload; see --list");
    some.push_back(*found);
  }
  return some;
}

void add_memory(Report* report, const std::string& self, const Scratch& scratch) {
  for (const Wrapper& wrapper : report->wrappers) {
    if (!wrapper.usable() || (wrapper.name != "bind" && wrapper.name != "cow")) continue;
    for (const int tasks : {1, 200}) {
      report->memory.push_back(measure_memory(wrapper, tasks, self, scratch));
    }
  }
}

void print_report(const Report& report, const Options& options) {
  if (options.json && !options.json_file.empty()) {
    write_file(options.json_file, as_json(report, options));
  }
  const bool json_only = options.json && options.json_file.empty();
  fputs((json_only ? as_json(report, options) : as_markdown(report, options)).c_str(), stdout);
}

std::string viewsh_path(const Options& options, const std::string& self) {
  std::string path = options.viewsh;
  if (path.empty()) {
    path = std::filesystem::path(self).parent_path() / "viewsh";
    if (access(path.c_str(), X_OK) != 0) path = find_program("viewsh");
  }
  return path.empty() ? "" : std::filesystem::absolute(path).string();
}

int measure_all(const Options& options) {
  const std::string self = own_path();
  const std::string viewsh = viewsh_path(options, self);
  const std::vector<Workload> workloads = chosen(options);
  std::optional<PeerMounts> peers;
  if (options.images) peers.emplace();
  drop_root();
  if (access(self.c_str(), X_OK) != 0) die(self + ": an ordinary user can't run it there");
  if (!options.zlib.empty() && access((options.zlib + "/configure").c_str(), R_OK) != 0) {
    die("--zlib " + options.zlib + ": no source of zlib that an ordinary user can read");
  }
  watch_interrupts();
  const Scratch scratch = make_scratch(options);
  if (!options.keep) g_to_remove = scratch.top;
  atexit(remove_scratch);
  set_environment(scratch);
  if (options.images) {
    fputs(measure_images(viewsh, self, scratch, options, &*peers).c_str(), stdout);
    return interrupted() ? 130 : 0;
  }
  Report report;
  report.wrappers = make_wrappers(options.configs, viewsh, scratch);
  if (options.memory) {
    add_memory(&report, self, scratch);
  } else {
    for (const Workload& workload : workloads) {
      if (interrupted()) break;
      report.rows.push_back(run_workload(workload, report.wrappers, self, scratch, options));
    }
  }
  print_report(report, options);
  if (options.keep) fprintf(stderr, "bench: kept %s\n", scratch.top.c_str());
  if (interrupted()) return 130;
  return options.strict && incomplete(report) ? 1 : 0;
}

int list_workloads(const Options& options) {
  for (const Workload& workload : all_workloads(options)) {
    printf("%-10s %s\n", workload.name.c_str(), workload.title.c_str());
  }
  return 0;
}

/// The modes that run inside of a view; -1: none of them was asked for.
int run_inner_mode(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "--loop" && (argc == 4 || argc == 5)) {
    if (argc == 5 && chdir(argv[4]) != 0) die(std::string(argv[4]) + ": " + strerror(errno));
    return run_loop(argv[2], strtol(argv[3], nullptr, 10));
  }
  const bool again = mode == "--again";
  if ((mode == "--inside" || again) && argc > 7) {
    return run_inside(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), Argv(argv + 7, argv + argc),
                      again);
  }
  if (mode == "--tasks" && argc == 3) return run_tasks(atoi(argv[2]));
  return -1;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  if (const int status = bench::run_inner_mode(argc, argv); status >= 0) return status;
  const bench::Options options = bench::parse_options(argc, argv);
  return options.list ? bench::list_workloads(options) : bench::measure_all(options);
}

#include "workloads.h"

#include "inside.h"

namespace bench {
namespace {

constexpr char kImports[] =
    "import argparse, asyncio, ctypes, decimal, email.message, http.client, json, logging, re, "
    "subprocess, tempfile, unittest, xml.dom.minidom";

Workload loop(const std::string& name, const std::string& title, long count) {
  return {name, title, count, {}, "", 1, 0, "", [](Inputs& inputs) { inputs.files_of_loops(); }};
}

Workload command(const std::string& name, const std::string& title, const std::string& dir,
                 const Argv& argv, std::function<void(Inputs&)> prepare) {
  return {name, title, 0, argv, dir, 1, 0, argv[0], std::move(prepare)};
}

void add_loops(std::vector<Workload>* all, bool quick) {
  const long unit = quick ? 2'000 : 50'000;
  all->push_back(loop("getppid", "getppid", 10 * unit));
  all->push_back(loop("pread", "pread of 512 bytes", 4 * unit));
  all->push_back(loop("write", "write of 64 bytes", 4 * unit));
  all->push_back(loop("stat", "stat", 2 * unit));
  all->push_back(loop("open", "open+close", unit));
  all->push_back(loop("spawn", "spawn of /bin/true", quick ? 30 : 400));
}

void add_commands(std::vector<Workload>* all, const Options& options) {
  const Sizes sizes = sizes_for(options);
  const std::string tree_files = std::to_string(sizes.tree_files);
  const std::string repo_files = std::to_string(sizes.repo_files);
  const auto nothing = [](Inputs&) {};
  all->push_back(
      command("python", "python3 start with imports", "", {"python3", "-c", kImports}, nothing));
  all->back().repeat = options.quick ? 1 : 5;
  all->push_back(command("find", options.quick ? "find /usr/share/doc" : "find /usr", "",
                         {"find", options.quick ? "/usr/share/doc" : "/usr"}, nothing));
  all->back().worst_status = 1;
  all->push_back(command("grep", "grep -r over " + tree_files + " files", "",
                         {"grep", "-r", "needle", "tree"}, [](Inputs& in) { in.fresh_tree(); }));
  all->push_back(command("rm", "rm -r of " + tree_files + " files", "", {"rm", "-r", "tree"},
                         [](Inputs& in) { in.fresh_tree(); }));
  all->push_back(command("git", "git status of " + repo_files + " files", "repo",
                         {"git", "--no-optional-locks", "status", "--porcelain"},
                         [](Inputs& in) { in.repository(); }));
  all->back().repeat = options.quick ? 1 : 5;
  all->push_back(command("git-touched", "git status, all of them touched", "touched",
                         {"git", "--no-optional-locks", "status", "--porcelain"},
                         [](Inputs& in) { in.touched_repository(); }));
  all->push_back(command("configure", "configure of zlib", "zlib", {"sh", "./configure"},
                         [](Inputs& in) { in.zlib_source(); }));
  all->push_back(
      command("make", "make of zlib", "zlib", {"make"}, [](Inputs& in) { in.zlib_configured(); }));
  all->push_back(command("untar", "untar of " + repo_files + " files", "untarred",
                         {"tar", "-xf", "../files.tar"}, [](Inputs& in) {
                           in.archive();
                           in.empty_dir("untarred");
                         }));
  all->push_back(command("dd", "dd of " + std::to_string(sizes.dd_blocks / 16) + " MiB", "dd",
                         {"dd", "if=/dev/zero", "of=out", "bs=64k", "status=none",
                          "count=" + std::to_string(sizes.dd_blocks)},
                         [](Inputs& in) { in.empty_dir("dd"); }));
}

}  // namespace

std::vector<Workload> all_workloads(const Options& options) {
  std::vector<Workload> all;
  add_loops(&all, options.quick);
  add_commands(&all, options);
  return all;
}

std::string skip_reason(const Workload& workload, const Options& options) {
  if ((workload.name == "configure" || workload.name == "make") && options.zlib.empty()) {
    return "no source of zlib: --zlib DIR";
  }
  if (!workload.needs.empty() && find_program(workload.needs).empty()) {
    return workload.needs + " is not installed";
  }
  return "";
}

std::optional<double> measure(const Workload& workload, const Wrapper& wrapper,
                              const std::string& self, const Scratch& scratch,
                              const Options& options, std::string* error) {
  Argv argv = wrapper.prefix;
  argv.push_back(self);
  const std::string dir = workload.dir.empty() ? wrapper.work : wrapper.work + "/" + workload.dir;
  if (workload.loop > 0) {
    argv.insert(argv.end(), {"--loop", workload.name, std::to_string(workload.loop), dir});
  } else {
    argv.insert(argv.end(),
                {"--inside", dir, wrapper.work + "/out", std::to_string(workload.repeat),
                 std::to_string(workload.worst_status), "--"});
    argv.insert(argv.end(), workload.command.begin(), workload.command.end());
  }
  const Finished done = run(argv, scratch.top, scratch.logs, options.limit_s);
  const std::optional<double> figure = parse_figure(done.out);
  if (done.ok() && figure) return figure;
  *error = done.ok() ? "no figure printed" : done.why();
  return std::nullopt;
}

}  // namespace bench

// Random sequences of file operations, natively and in views: see usage().
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "dump.h"
#include "parallel.h"
#include "round.h"
#include "worker.h"

namespace viewsh_model {
namespace {

struct Options {
  std::vector<std::string> configs;
  std::vector<uint32_t> seeds;
  std::string replay;
  size_t ops = 300;
  size_t workers = 1;
  unsigned rounds = 1;
  bool shared = false;
  bool minimise = false;
  bool go_on = false;
  bool discard = false;
  std::vector<std::string> without;
};

void usage() {
  std::printf(
      "model [OPTION...]: runs random file operations natively and in views and compares\n"
      "  --config NAME[,NAME...]  (all)\n"
      "  --seed N[,N...]|random   (1)      --rounds N   so many seeds from there on\n"
      "  --ops N                  (300)    --without VERB[,VERB...]\n"
      "  --minimise               a failing script is cut down and printed\n"
      "  --replay FILE            runs this script instead of a random one\n"
      "  --discard                layers are thrown away at the end, none is committed\n"
      "  --go-on                  doesn't end at the first difference\n"
      "  --workers N [--shared]   several processes at once, in directories of their own or in "
      "one\n"
      "VIEWSH names the program. Configurations:\n");
  for (const Config& config : configs()) {
    std::printf("  %-12s %s\n", config.name.c_str(), config.what);
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    out.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

Options parse_options(const std::vector<std::string>& args) {
  Options out;
  for (size_t i = 0; i < args.size(); ++i) {
    const auto value = [&] {
      if (i + 1 == args.size()) die(args[i] + " needs a value");
      return args[++i];
    };
    const std::string& arg = args[i];
    if (arg == "--config") {
      out.configs = split(value());
    } else if (arg == "--seed") {
      for (const std::string& seed : split(value())) {
        out.seeds.push_back(seed == "random" ? std::random_device()() % 1000000
                                             : static_cast<uint32_t>(number(seed)));
      }
    } else if (arg == "--ops") {
      out.ops = static_cast<size_t>(number(value()));
    } else if (arg == "--rounds") {
      out.rounds = static_cast<unsigned>(number(value()));
    } else if (arg == "--workers") {
      out.workers = static_cast<size_t>(number(value()));
    } else if (arg == "--without") {
      out.without = split(value());
    } else if (arg == "--replay") {
      out.replay = value();
    } else if (arg == "--shared") {
      out.shared = true;
    } else if (arg == "--minimise") {
      out.minimise = true;
    } else if (arg == "--discard") {
      out.discard = true;
    } else if (arg == "--go-on") {
      out.go_on = true;
    } else {
      usage();
      std::exit(arg == "--help" ? 0 : 2);
    }
  }
  if (out.seeds.empty()) out.seeds = {1};
  if (out.configs.empty()) {
    for (const Config& config : configs()) out.configs.push_back(config.name);
  }
  return out;
}

/// Whether it was all the same.
bool run_round(const Options& options, const Round& round) {
  const auto start = std::chrono::steady_clock::now();
  Script script;
  std::string problem;
  if (options.workers > 1) {
    problem = compare_many(round, options.workers, options.shared);
  } else {
    script = options.replay.empty() ? draw_script(round) : parse_script(read_text(options.replay));
    problem = compare(round, script);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-4s %s --seed %u --ops %zu%s (%.1f s)\n", problem.empty() ? "ok" : "FAIL",
              round.config->name.c_str(), round.seed, round.ops, round.discard ? " discard" : "",
              seconds);
  if (!problem.empty()) {
    std::printf("%s", problem.c_str());
    if (options.minimise && options.workers == 1) {
      script = minimise(round, script, problem);
      std::printf("cut down to:\n%sresult:\n%s", format(script).c_str(),
                  compare(round, script).c_str());
    }
  }
  std::fflush(stdout);
  return problem.empty();
}

int run_rounds(const Options& options) {
  bool good = true;
  for (const uint32_t first : options.seeds) {
    for (unsigned i = 0; i < options.rounds; ++i) {
      for (const std::string& name : options.configs) {
        Round round;
        round.config = &config_named(name);
        round.seed = first + i;
        round.ops = options.ops;
        round.discard = options.discard || (first + i) % 4 == 3;
        round.without = options.without;
        good = run_round(options, round) && good;
        if (!good && !options.go_on) return 1;
      }
    }
  }
  return good ? 0 : 1;
}

/// --worker ROOT SCRIPT [--dump]: runs a script, and tells what is there afterwards.
int run_worker(const std::vector<std::string>& args) {
  const Script script = parse_script(read_text(args[2]));
  {
    Worker worker(args[1]);
    for (const Op& op : script) {
      const std::string line = worker.run(op) + "\n";
      // Not buffered: a line is there when its operation is done, whatever comes then.
      if (write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 2;
    }
  }
  if (args.size() > 3 && args[3] == "--dump") {
    const std::string tree = dump(args[1], {});
    std::fwrite(tree.data(), 1, tree.size(), stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 2;
}

std::string outline_of(const std::string& root) {
  return digest(dump(root, {.exact = false, .unlock = false, .outline = true})) + "\n";
}

/// --kill-script ROOT SEED OPS SCRIPT STATES: makes the tree that a killed run begins with, a
/// script of single calls for it, and what --outline says before each of them and after the last.
int make_kill_script(const std::vector<std::string>& args) {
  const auto seed = static_cast<uint32_t>(number(args[2]));
  const std::string& root = args[1];
  Layout layout(config_named("cow"));
  make_tree(layout, root, seed);
  // The script is drawn where it will run, in a copy of the tree: absolute links lead there.
  const std::string kept = layout.at("kept");
  if (rename(root.c_str(), kept.c_str()) != 0 || mkdir(root.c_str(), 0755) != 0) die("rename");
  make_tree(layout, root, seed);
  GenerateHow how;
  how.single_calls = true;
  Script script;
  std::string states = outline_of(root);
  {
    Worker worker(root);
    Generator generator(seed, worker, how);
    for (long long i = number(args[3]); i > 0; --i) {
      script.push_back(generator.next());
      worker.run(script.back());
      states += outline_of(root);
    }
    if (chdir("/") != 0) die("chdir /");
  }
  remove_tree(root);
  if (rename(kept.c_str(), root.c_str()) != 0) die("rename back");
  write_text(args[4], format(script));
  write_text(args[5], states);
  return 0;
}

/// --draw ROOT SEED OPS RESTARTS|single VERB...: prints a script that was drawn while it ran there.
int draw(const std::vector<std::string>& args) {
  GenerateHow how;
  how.restarts = args[4] == "1";
  how.single_calls = args[4] == "single";
  how.without.assign(args.begin() + 5, args.end());
  Worker worker(args[1]);
  Generator generator(static_cast<uint32_t>(number(args[2])), worker, how);
  for (long long i = number(args[3]); i > 0; --i) {
    const Op op = generator.next();
    std::printf("%s\n", format(op).c_str());
    if (op.verb == "restart") {
      worker.reset();
    } else {
      worker.run(op);
    }
  }
  return std::fflush(stdout) == 0 ? 0 : 2;
}

}  // namespace
}  // namespace viewsh_model

int main(int argc, char** argv) {
  using namespace viewsh_model;
  umask(022);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() >= 3 && args[0] == "--worker") return run_worker(args);
  if (args.size() >= 3 && args[0] == "--workers-of") return run_workers(args);
  if (args.size() >= 5 && args[0] == "--draw") return draw(args);
  if (args.size() == 6 && args[0] == "--kill-script") return make_kill_script(args);
  if (args.size() == 2 && args[0] == "--outline") {
    std::printf("%s", outline_of(args[1]).c_str());
    return 0;
  }
  if (args.size() == 2 && args[0] == "--tree") {
    std::printf("%s", dump(args[1], {}).c_str());
    return 0;
  }
  if (geteuid() == 0) die("run it as an ordinary user: root hides permission bugs");
  return run_rounds(parse_options(args));
}

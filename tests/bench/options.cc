#include "options.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "process.h"

namespace bench {
namespace {

constexpr char kUsage[] =
    R"(usage: bench [OPTION...]          measure, and print the ratios to a native run
       bench --loop NAME N        one loop in this process: getppid pread write stat open spawn
       bench --list               the workloads

  -w, --workloads A,B,...   only these                    -c, --configs A,B,...   native, bind, cow,
  -r, --rounds N            rounds of each (default 5)                            empty, proot, bwrap
  -q, --quick               small inputs, short loops     -m, --memory   the engine's peak memory, only
  -i, --images              images only, beside FUSE programs that mount the same; best as root
      --json[=FILE]         JSON in place of the table, or into FILE beside it
      --zlib DIR            source of zlib; without it configure and make are skipped
      --viewsh FILE         default: beside this program, then PATH
      --dir DIR             where the temporary directory is made (default $TMPDIR or /var/tmp)
      --limit S             seconds that one run may take (default 300)
      --strict              exit with 1 if anything failed or was missing
      --keep                leave the temporary directory
)";

enum Long { kJson = 256, kZlib, kViewsh, kDir, kLimit, kStrict, kKeep, kList };

constexpr option kLongOptions[] = {
    {"workloads", required_argument, nullptr, 'w'},
    {"configs", required_argument, nullptr, 'c'},
    {"rounds", required_argument, nullptr, 'r'},
    {"quick", no_argument, nullptr, 'q'},
    {"memory", no_argument, nullptr, 'm'},
    {"images", no_argument, nullptr, 'i'},
    {"help", no_argument, nullptr, 'h'},
    {"json", optional_argument, nullptr, kJson},
    {"zlib", required_argument, nullptr, kZlib},
    {"viewsh", required_argument, nullptr, kViewsh},
    {"dir", required_argument, nullptr, kDir},
    {"limit", required_argument, nullptr, kLimit},
    {"strict", no_argument, nullptr, kStrict},
    {"keep", no_argument, nullptr, kKeep},
    {"list", no_argument, nullptr, kList},
    {nullptr, 0, nullptr, 0},
};

int positive(const char* text, const char* name) {
  char* end = nullptr;
  const long value = strtol(text, &end, 10);
  if (*end != '\0' || value <= 0 || value > 1'000'000) {
    die(std::string("--") + name + " " + text + ": a positive number is wanted");
  }
  return static_cast<int>(value);
}

void take(Options* options, int letter, const char* value) {
  switch (letter) {
    case 'w':
      options->workloads = split(value, ',');
      return;
    case 'c':
      options->configs = split(value, ',');
      return;
    case 'r':
      options->rounds = positive(value, "rounds");
      return;
    case 'q':
      options->quick = true;
      return;
    case 'm':
      options->memory = true;
      return;
    case 'i':
      options->images = true;
      return;
    case kJson:
      options->json = true;
      options->json_file = value != nullptr ? value : "";
      return;
    case kZlib:
      options->zlib = value;
      return;
    case kViewsh:
      options->viewsh = value;
      return;
    case kDir:
      options->dir = value;
      return;
    case kLimit:
      options->limit_s = positive(value, "limit");
      return;
    case kStrict:
      options->strict = true;
      return;
    case kKeep:
      options->keep = true;
      return;
    case kList:
      options->list = true;
      return;
    case 'h':
      fputs(kUsage, stdout);
      exit(0);
    default:
      fputs(kUsage, stderr);
      exit(2);
  }
}

}  // namespace

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int letter = 0;
       (letter = getopt_long(argc, argv, "w:c:r:qmih", kLongOptions, nullptr)) != -1;) {
    take(&options, letter, optarg);
  }
  if (optind < argc) die(std::string(argv[optind]) + ": not an option; see --help");
  return options;
}

}  // namespace bench

#pragma once

#include <string>
#include <vector>

namespace bench {

/// What the command line asks for.
struct Options {
  std::vector<std::string> workloads;  ///< empty: all
  std::vector<std::string> configs{"native", "bind", "cow", "proot", "bwrap"};
  int rounds = 5;
  bool quick = false;
  bool json = false;
  std::string json_file;  ///< empty: standard output, in place of the table
  bool memory = false;    ///< only the engine's memory
  bool images = false;    ///< only images, beside FUSE programs that show them
  bool strict = false;    ///< a failed or missing cell makes the exit status 1
  bool keep = false;
  bool list = false;
  int limit_s = 300;
  std::string viewsh;
  std::string zlib;
  std::string dir;
};

/// Parses the command line; ends the program with a usage line where it is wrong.
Options parse_options(int argc, char** argv);

/// "a,b,c" as a list.
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace bench

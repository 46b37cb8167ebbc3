#pragma once

#include <random>
#include <string>
#include <vector>

#include "cow_driver.h"

namespace viewsh::crash {

/// One call on names of a small tree (make_lower()), drawn at random.
struct RandomOp {
  int kind = 0;
  std::string path, to;
  unsigned number = 0;

  static RandomOp draw(std::mt19937* random) {
    static const std::vector<std::string> names = {
        "a",       "a/1", "a/b",   "a/b/2", "a/b/c",  "a/b/c/3", "a/hard", "a/link",
        "d",       "d/e", "d/e/4", "t",     "d/hard", "f",       "f/x",    "d/fifo",
        "d/empty", "new", "a/new", "n",     "n/m",    "n/m/o"};
    const auto any = [&] { return names[(*random)() % names.size()]; };
    static const int kinds[] = {0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 7, 8, 9, 9, 10, 11, 12};
    return {kinds[(*random)() % std::size(kinds)], any(), any(),
            static_cast<unsigned>((*random)())};
  }
  bool writes() const { return kind <= 2 || kind == 11; }

  int run(viewfs::Calls& calls) const {
    const std::string text = "written " + std::to_string(number % 1000) + "\n";
    switch (kind) {
      case 0:
        return calls.write(path, O_WRONLY | O_NONBLOCK | O_CREAT | O_TRUNC, 0644, text);
      case 1:
        return calls.write(path, O_WRONLY | O_NONBLOCK | O_CREAT | O_EXCL, 0600, text);
      case 2:
        return calls.write(path, O_WRONLY | O_NONBLOCK | O_APPEND, 0, text);
      case 3:
        return calls.symlink(path, "somewhere");
      case 4:
        return calls.mkdir(path, number % 4 == 0 ? 0500 : 0755);
      case 5:
        return calls.link(path, to);
      case 6:
        return calls.rmdir(path);
      case 7:
        return calls.rename(path, to, number % 6 == 0 ? RENAME_EXCHANGE : 0);
      case 8:
        return calls.unlink(path);
      case 9:
        return calls.unlink(path);
      case 10:
        return calls.chmod(path, number % 2 == 0 ? 0700 : 0755);
      case 11:
        return calls.truncate(path, static_cast<off_t>(number % 20));
      default:
        return calls.setxattr(path, text);
    }
  }
  std::string text() const {
    static const char* const kNames[] = {"write", "create",   "append",  "symlink", "mkdir",
                                         "link",  "rmdir",    "rename",  "unlink",  "unlink",
                                         "chmod", "truncate", "setxattr"};
    return std::string(kNames[kind]) + " " + path + " " + to + " " + std::to_string(number % 1000);
  }
};

}  // namespace viewsh::crash

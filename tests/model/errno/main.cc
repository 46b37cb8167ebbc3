// errno_cases [--setup] DIR: what calls with paths say when they can't, after the assertions that
// pjdfstest makes for a process without privileges; the code is our own. --setup makes the objects
// and ends; without it they are made where they aren't there yet.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cases.h"

namespace errno_cases {
namespace {

int failures = 0;
int made = 0;

}  // namespace

std::string result_of(long rc) {
  if (rc >= 0) return "ok";
  const char* name = strerrorname_np(errno);
  return name != nullptr ? name : std::to_string(errno);
}

void expect(const std::string& what, const std::string& want, long rc) {
  const std::string got = result_of(rc);
  ++made;
  if (got == want) return;
  ++failures;
  std::printf("%s: %s instead of %s\n", what.c_str(), got.c_str(), want.c_str());
}

void expect_true(const std::string& what, bool holds) {
  ++made;
  if (holds) return;
  ++failures;
  std::printf("%s: doesn't hold\n", what.c_str());
}

long try_open(const std::string& path, int flags, mode_t mode) {
  const int fd = open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC, mode);
  if (fd >= 0) close(fd);
  return fd;
}

struct stat look(const std::string& path) {
  struct stat st {};
  if (lstat(path.c_str(), &st) != 0) st = {};
  return st;
}

namespace {

void must(long rc, const char* what) {
  if (rc >= 0 || errno == EEXIST) return;
  std::printf("setup: %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

/// file, dir (with a file in it), empty, plain; links to them, dangling and in a circle; a FIFO;
/// directories that may not be searched or written to.
void set_up() {
  for (const char* dir : {"dir", "empty", "plain", "plain/sub", "closed", "fixed", "dir/sub"}) {
    must(mkdir(dir, 0755), dir);
  }
  for (const char* file : {"file", "dir/in", "closed/in", "fixed/in", "plain/in", "second"}) {
    must(try_open(file, O_WRONLY | O_CREAT, 0644), file);
  }
  must(symlink("file", "to-file"), "to-file");
  must(symlink("dir", "to-dir"), "to-dir");
  must(symlink("nowhere", "dangling"), "dangling");
  must(symlink("loop2", "loop"), "loop");
  must(symlink("loop", "loop2"), "loop2");
  must(mkfifo("fifo", 0644), "fifo");
  must(link("second", "second-link"), "second-link");
  must(try_open("secret", O_WRONLY | O_CREAT, 0000), "secret");
  must(chmod("closed", 0600), "closed");
  must(chmod("fixed", 0555), "fixed");
}

}  // namespace
}  // namespace errno_cases

int main(int argc, char** argv) {
  using namespace errno_cases;
  umask(022);
  const bool setup = argc == 3 && std::strcmp(argv[1], "--setup") == 0;
  if (argc != (setup ? 3 : 2) || chdir(argv[argc - 1]) != 0) {
    std::fprintf(stderr, "usage: errno_cases [--setup] DIR\n");
    return 2;
  }
  if (geteuid() == 0) {
    std::fprintf(stderr, "errno_cases: root may do everything; run it as an ordinary user\n");
    return 2;
  }
  if (look("file").st_mode == 0) set_up();
  if (setup) return 0;
  lookups();
  makers();
  opens();
  removals();
  renames();
  attributes();
  std::printf("%d assertions, %d failed\n", made, failures);
  return failures == 0 ? 0 : 1;
}

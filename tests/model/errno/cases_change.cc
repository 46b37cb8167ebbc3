// rename(2), and calls that change attributes.
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "cases.h"

namespace errno_cases {
namespace {

long rename2(const char* from, const char* to, unsigned flags) {
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

void refused_renames() {
  const struct {
    const char* from;
    const char* to;
    unsigned flags;
    const char* want;
  } kCases[] = {
      {"missing", "x", 0, "ENOENT"},
      {"file", "missing/x", 0, "ENOENT"},
      {"file", "dir", 0, "EISDIR"},
      {"dir", "file", 0, "ENOTDIR"},
      {"dir", "to-dir", 0, "ENOTDIR"},
      {"empty", "dir", 0, "ENOTEMPTY"},
      {"dir", "dir/sub/x", 0, "EINVAL"},
      {"dir", "dir/sub", 0, "EINVAL"},
      {"dir", "dir/in", 0, "EINVAL"},
      {"dir/sub", "dir", 0, "ENOTEMPTY"},
      {"dir/in", "dir", 0, "ENOTEMPTY"},
      {"dir/.", "x", 0, "EBUSY"},
      {"dir", "dir/.", 0, "EBUSY"},
      {"dir/sub/..", "x", 0, "EBUSY"},
      {"file", "x/", 0, "ENOTDIR"},
      {"file/", "x", 0, "ENOTDIR"},
      {"to-dir/", "x", 0, "ENOTDIR"},
      {"file/x", "x", 0, "ENOTDIR"},
      {"file", "second/x", 0, "ENOTDIR"},
      {"closed/in", "x", 0, "EACCES"},
      {"file", "closed/x", 0, "EACCES"},
      {"fixed/in", "x", 0, "EACCES"},
      {"file", "fixed/x", 0, "EACCES"},
      {"file", "fixed/in", 0, "EACCES"},
      {"loop/x", "x", 0, "ELOOP"},
      {"file", "loop/x", 0, "ELOOP"},
      {"file", "second", RENAME_NOREPLACE, "EEXIST"},
      {"file", "dangling", RENAME_NOREPLACE, "EEXIST"},
      {"missing", "second", RENAME_NOREPLACE, "ENOENT"},
      {"file", "missing", RENAME_EXCHANGE, "ENOENT"},
      {"missing", "file", RENAME_EXCHANGE, "ENOENT"},
      {"dir", "dir/in", RENAME_EXCHANGE, "EINVAL"},
      {"dir/in", "dir", RENAME_EXCHANGE, "EINVAL"},
      {"file", "x", RENAME_EXCHANGE | RENAME_NOREPLACE, "EINVAL"},
      {"file", "x", 64, "EINVAL"},
      {"file", "file", 0, "ok"},
      {"second", "second-link", 0, "ok"},
      {"file", "file", RENAME_NOREPLACE, "EEXIST"},
  };
  for (const auto& c : kCases) {
    expect(std::string("rename ") + c.from + " " + c.to + " " + std::to_string(c.flags), c.want,
           rename2(c.from, c.to, c.flags));
  }
  expect_true("links to one file both stay",
              look("second").st_ino == look("second-link").st_ino && look("second").st_nlink == 2);
}

}  // namespace

void renames() {
  refused_renames();
  const struct stat dir = look("dir");
  expect("rename dir", "ok", rename("dir", "plain/sub/dir"));
  expect_true("the same directory", look("plain/sub/dir").st_ino == dir.st_ino);
  expect("what is in it", "ok", access("plain/sub/dir/in", F_OK));
  expect("and back, with a slash", "ok", rename("plain/sub/dir/", "dir/"));
  expect_true("the same directory", look("dir").st_ino == dir.st_ino);
  expect("over an empty one", "ok", rename("dir", "empty"));
  expect("and back", "ok", rename("empty", "dir"));
  expect("mkdir", "ok", mkdir("empty", 0755));
  const struct stat file = look("file");
  usleep(10000);
  expect("exchange", "ok", rename2("file", "dir", RENAME_EXCHANGE));
  expect_true("both went", S_ISDIR(look("file").st_mode) && look("dir").st_ino == file.st_ino);
  expect("in the directory", "ok", access("file/in", F_OK));
  expect("exchange back", "ok", rename2("file", "dir", RENAME_EXCHANGE));
  expect_true("a new ctime", look("file").st_ctim.tv_nsec != file.st_ctim.tv_nsec);
  expect("rename over a link", "ok", rename("second", "dangling"));
  expect_true("the link is gone", S_ISREG(look("dangling").st_mode));
  expect("and back", "ok", rename("dangling", "second"));
  expect("link", "ok", symlink("nowhere", "dangling"));
}

void attributes() {
  const struct stat before = look("file");
  usleep(10000);
  expect("chmod through a link", "ok", chmod("to-file", 0640));
  expect_true("mode and ctime", (look("file").st_mode & 07777) == 0640 &&
                                    look("file").st_ctim.tv_nsec != before.st_ctim.tv_nsec);
  expect("chmod dangling", "ENOENT", chmod("dangling", 0644));
  expect("chmod loop", "ELOOP", chmod("loop", 0644));
  expect("chmod with all bits", "ok", chmod("file", 07777));
  expect_true("all bits", (look("file").st_mode & 07777) == 07777);
  const int fd = open("file", O_WRONLY | O_CLOEXEC);
  expect("write", "ok", write(fd, "some text", 9));
  close(fd);
  expect_true("a write drops set-user-id", (look("file").st_mode & 06000) == 0);
  expect("chmod", "ok", chmod("file", 0644));
  expect("truncate dir", "EISDIR", truncate("dir", 0));
  expect("truncate fifo", "EINVAL", truncate("fifo", 0));
  expect("truncate below 0", "EINVAL", truncate("file", -1));
  expect("truncate secret", "EACCES", truncate("secret", 0));
  expect("truncate loop", "ELOOP", truncate("loop", 0));
  expect("truncate", "ok", truncate("to-file", 4));
  expect_true("its size", look("file").st_size == 4);
  expect("longer", "ok", truncate("file", 123456));
  expect_true("its size", look("file").st_size == 123456);
  timespec times[2] = {{1234567890, 11}, {0, UTIME_OMIT}};
  const timespec mtime = look("file").st_mtim;
  expect("utimensat", "ok", utimensat(AT_FDCWD, "to-file", times, 0));
  expect_true("atime only", look("file").st_atim.tv_sec == 1234567890 &&
                                look("file").st_atim.tv_nsec == 11 &&
                                look("file").st_mtim.tv_nsec == mtime.tv_nsec);
  times[1] = {1000000000, 22};
  expect("utimensat of a link", "ok", utimensat(AT_FDCWD, "dangling", times, AT_SYMLINK_NOFOLLOW));
  expect_true("its own mtime", look("dangling").st_mtim.tv_sec == 1000000000);
  expect("utimensat through it", "ENOENT", utimensat(AT_FDCWD, "dangling", times, 0));
  times[1].tv_nsec = 1000000000;
  expect("utimensat out of range", "EINVAL", utimensat(AT_FDCWD, "file", times, 0));
  expect("utimensat of a file that is closed to oneself", "ok", chmod("second", 0));
  expect("its times", "ok", utimensat(AT_FDCWD, "second", nullptr, 0));
  expect("and back", "ok", chmod("second", 0644));
  expect("chown to root", "EPERM", chown("file", 0, static_cast<gid_t>(-1)));
  expect("chown to oneself", "ok", chown("file", getuid(), getgid()));
  expect("lchown of a link", "ok", lchown("dangling", getuid(), getgid()));
}

}  // namespace errno_cases

#include "cases.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <functional>
#include <vector>

namespace errno_cases {
namespace {

struct Call {
  const char* name;
  std::function<long(const std::string&)> run;
};

const std::string kLong(256, 'n');
const std::string kLongest(255, 'n');

std::string path_of_length(size_t length) {
  std::string out;
  while (out.size() + 2 < length) out += "./";
  return out + std::string(length - out.size(), 'x');
}

std::vector<Call> looking_calls() {
  return {
      {"stat",
       [](const std::string& p) {
         struct stat st;
         return stat(p.c_str(), &st);
       }},
      {"lstat",
       [](const std::string& p) {
         struct stat st;
         return lstat(p.c_str(), &st);
       }},
      {"access", [](const std::string& p) { return access(p.c_str(), F_OK); }},
      {"open", [](const std::string& p) { return try_open(p, O_RDONLY); }},
      {"chmod", [](const std::string& p) { return chmod(p.c_str(), 0644); }},
      {"truncate", [](const std::string& p) { return truncate(p.c_str(), 0); }},
      {"unlink", [](const std::string& p) { return unlink(p.c_str()); }},
      {"rmdir", [](const std::string& p) { return rmdir(p.c_str()); }},
      {"chdir", [](const std::string& p) { return chdir(p.c_str()); }},
      {"utimensat",
       [](const std::string& p) { return utimensat(AT_FDCWD, p.c_str(), nullptr, 0); }},
      {"readlink",
       [](const std::string& p) {
         char b[9];
         return readlink(p.c_str(), b, sizeof(b));
       }},
      {"link from", [](const std::string& p) { return link(p.c_str(), "made"); }},
      {"rename from", [](const std::string& p) { return rename(p.c_str(), "made"); }},
  };
}

/// Calls that make their last component.
std::vector<Call> making_calls() {
  return {
      {"mkdir", [](const std::string& p) { return mkdir(p.c_str(), 0755); }},
      {"mkfifo", [](const std::string& p) { return mkfifo(p.c_str(), 0644); }},
      {"symlink", [](const std::string& p) { return symlink("target", p.c_str()); }},
      {"link to", [](const std::string& p) { return link("second", p.c_str()); }},
      {"open excl", [](const std::string& p) { return try_open(p, O_RDWR | O_CREAT | O_EXCL); }},
  };
}

}  // namespace

void lookups() {
  for (const Call& call : looking_calls()) {
    const auto on = [&](const std::string& path, const std::string& want) {
      expect(std::string(call.name) + " " + path.substr(0, 30), want, call.run(path));
    };
    on("", "ENOENT");
    on("missing", "ENOENT");
    on("missing/x", "ENOENT");
    on("dir/missing/x", "ENOENT");
    on("dangling/x", "ENOENT");
    on("file/x", "ENOTDIR");
    on("to-file/x", "ENOTDIR");
    on("fifo/x", "ENOTDIR");
    on("loop/x", "ELOOP");
    on("closed/in", "EACCES");
    on("closed/missing", "EACCES");
    on(kLong, "ENAMETOOLONG");
    on("dir/" + kLong, "ENAMETOOLONG");
    on(kLong + "/x", "ENAMETOOLONG");
    on(kLongest, "ENOENT");
    on(path_of_length(PATH_MAX), "ENAMETOOLONG");
    on(path_of_length(PATH_MAX - 1), "ENOENT");
    on("file/", "ENOTDIR");
    on("file/.", "ENOTDIR");
    on("file/..", "ENOTDIR");
    on("missing/", "ENOENT");
    on("missing/..", "ENOENT");
    on("closed/../x", "EACCES");
  }
  for (const char* path : {"loop", "to-file/", "dangling/"}) {
    struct stat st {};
    expect(std::string("stat ") + path,
           *path == 'l'   ? "ELOOP"
           : *path == 't' ? "ENOTDIR"
                          : "ENOENT",
           stat(path, &st));
  }
  expect("readlink file", "EINVAL", [] {
    char b[9];
    return readlink("file", b, sizeof(b));
  }());
  expect("readlink dir", "EINVAL", [] {
    char b[9];
    return readlink("dir", b, sizeof(b));
  }());
  expect("chdir file", "ENOTDIR", chdir("file"));
  expect("chdir closed", "EACCES", chdir("closed"));
  expect("access secret", "EACCES", access("secret", R_OK));
  expect("access fixed", "EACCES", access("fixed", W_OK));
  expect("access file x", "EACCES", access("file", X_OK));
}

void makers() {
  for (const Call& call : making_calls()) {
    const auto on = [&](const std::string& path, const std::string& want) {
      expect(std::string(call.name) + " " + path.substr(0, 30), want, call.run(path));
    };
    const bool opens = std::string(call.name) == "open excl";
    const bool directory = std::string(call.name) == "mkdir";
    on("", "ENOENT");
    for (const char* there : {"file", "dir", "to-file", "to-dir", "dangling", "loop", "fifo"}) {
      on(there, "EEXIST");
    }
    on("missing/x", "ENOENT");
    on("dangling/x", "ENOENT");
    on("file/x", "ENOTDIR");
    on("loop/x", "ELOOP");
    on("closed/x", "EACCES");
    on("closed/in", "EACCES");
    on("fixed/x", "EACCES");
    on("fixed/in", "EEXIST");
    on(kLong, "ENAMETOOLONG");
    on(path_of_length(PATH_MAX), "ENAMETOOLONG");
    on("dir/.", "EEXIST");
    on("dir/..", "EEXIST");
    on("dir/", opens ? "EISDIR" : "EEXIST");
    if (!directory) on("new/", opens ? "EISDIR" : "ENOENT");
    on(kLongest, "ok");
    expect("removal", "ok", directory ? rmdir(kLongest.c_str()) : unlink(kLongest.c_str()));
    const struct stat before = look("plain");
    usleep(10000);
    on("plain/new", "ok");
    const struct stat after = look("plain");
    expect_true(std::string(call.name) + " sets the directory's times",
                after.st_mtim.tv_nsec != before.st_mtim.tv_nsec &&
                    after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
    expect_true(std::string(call.name) + " changes its links",
                after.st_nlink == before.st_nlink + (directory ? 1 : 0) || before.st_nlink == 1);
    expect("removal", "ok", directory ? rmdir("plain/new") : unlink("plain/new"));
    expect_true("and back", look("plain").st_nlink == before.st_nlink);
  }
  expect("symlink too long", "ENAMETOOLONG", symlink(std::string(PATH_MAX, 'x').c_str(), "l"));
  expect("symlink empty", "ENOENT", symlink("", "l"));
  expect("mkdir new/", "ok", mkdir("new/", 0755));
  expect("rmdir new/", "ok", rmdir("new/"));
  expect("link of a directory", "EPERM", link("dir", "made"));
  expect("link of a link", "ok", link("dangling", "made"));
  expect_true("is a link", S_ISLNK(look("made").st_mode) && look("dangling").st_nlink == 2);
  expect("unlink it", "ok", unlink("made"));
}

void opens() {
  expect("open dir for writing", "EISDIR", try_open("dir", O_WRONLY));
  expect("open dir, create", "EISDIR", try_open("dir", O_RDONLY | O_CREAT));
  expect("open dir, truncate", "EISDIR", try_open("dir", O_RDONLY | O_TRUNC));
  expect("open file as directory", "ENOTDIR", try_open("file", O_RDONLY | O_DIRECTORY));
  expect("open link as directory", "ok", try_open("to-dir", O_RDONLY | O_DIRECTORY));
  expect("open link, nofollow", "ELOOP", try_open("to-file", O_RDONLY | O_NOFOLLOW));
  expect("open link, nofollow directory", "ENOTDIR",
         try_open("to-dir", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
  expect("open link, O_PATH", "ok", try_open("to-file", O_PATH | O_NOFOLLOW));
  expect("open loop", "ELOOP", try_open("loop", O_RDONLY));
  expect("open loop, create", "ELOOP", try_open("loop", O_RDWR | O_CREAT));
  expect("open secret", "EACCES", try_open("secret", O_RDONLY));
  expect("open secret for writing", "EACCES", try_open("secret", O_WRONLY));
  expect("open secret, truncate", "EACCES", try_open("secret", O_RDONLY | O_TRUNC));
  expect("open secret, O_PATH", "ok", try_open("secret", O_PATH));
  expect("open fifo for writing", "ENXIO", try_open("fifo", O_WRONLY));
  expect("open fifo", "ok", try_open("fifo", O_RDONLY));
  expect("create in fixed", "EACCES", try_open("fixed/x", O_WRONLY | O_CREAT));
  expect("open in fixed, create", "ok", try_open("fixed/in", O_WRONLY | O_CREAT));
  expect("O_TMPFILE for reading", "EINVAL", try_open("dir", O_TMPFILE | O_RDONLY));
  expect("O_TMPFILE in fixed", "EACCES", try_open("fixed", O_TMPFILE | O_RDWR));
  expect("O_TMPFILE in a file", "ENOTDIR", try_open("file", O_TMPFILE | O_RDWR));
  expect("create through a link", "ok", try_open("dangling", O_WRONLY | O_CREAT));
  expect_true("made its target", S_ISREG(look("nowhere").st_mode));
  expect("unlink", "ok", unlink("nowhere"));
  expect("create without rights", "ok", try_open("none", O_RDWR | O_CREAT | O_EXCL, 0));
  expect("open it", "EACCES", try_open("none", O_RDONLY));
  expect("unlink", "ok", unlink("none"));
  umask(077);
  expect("create with a mask", "ok", try_open("masked", O_RDWR | O_CREAT, 0666));
  umask(022);
  expect_true("mode 0600", (look("masked").st_mode & 07777) == 0600);
  expect("unlink", "ok", unlink("masked"));
}

void removals() {
  expect("unlink dir", "EISDIR", unlink("dir"));
  expect("unlink to-dir/", "ENOTDIR", unlink("to-dir/"));
  expect("unlink dir/", "EISDIR", unlink("dir/"));
  expect("unlink dir/.", "EISDIR", unlink("dir/."));
  expect("unlink fixed/in", "EACCES", unlink("fixed/in"));
  expect("rmdir file", "ENOTDIR", rmdir("file"));
  expect("rmdir to-dir", "ENOTDIR", rmdir("to-dir"));
  expect("rmdir to-dir/", "ENOTDIR", rmdir("to-dir/"));
  expect("rmdir dir", "ENOTEMPTY", rmdir("dir"));
  expect("rmdir empty/.", "EINVAL", rmdir("empty/."));
  expect("rmdir dir/sub/..", "ENOTEMPTY", rmdir("dir/sub/.."));
  expect("rmdir fixed/in", "EACCES", rmdir("fixed/in"));
  const struct stat before = look("second");
  usleep(10000);
  expect("link", "ok", link("second", "third"));
  const struct stat linked = look("second");
  expect_true("one link more, a new ctime", linked.st_nlink == before.st_nlink + 1 &&
                                                linked.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
  usleep(10000);
  expect("unlink", "ok", unlink("third"));
  const struct stat gone = look("second");
  expect_true("one link less, a new ctime",
              gone.st_nlink == before.st_nlink && gone.st_ctim.tv_nsec != linked.st_ctim.tv_nsec);
  const int fd = open("file", O_RDWR | O_CLOEXEC);
  expect("unlink of an open file", "ok", unlink("file"));
  struct stat st {};
  expect_true("it has no link", fstat(fd, &st) == 0 && st.st_nlink == 0);
  expect("write", "ok", write(fd, "x", 1));
  close(fd);
  expect("make it again", "ok", try_open("file", O_WRONLY | O_CREAT | O_EXCL));
  expect_true("empty", look("file").st_size == 0 && look("file").st_nlink == 1);
}

}  // namespace errno_cases

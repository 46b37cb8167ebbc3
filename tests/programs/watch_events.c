// Changes a directory in every way while it is watched, and prints what inotify(7) tells of each
// step. The same text is expected wherever the directory lies.
//   watch_events DIR           in the empty directory DIR
//   watch_events DIR prepare   makes what is needed there, and
//   watch_events DIR prepared  does the rest: in a view that doesn't know it yet
// PLAIN in the environment: what not every file system can is left out.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static int notify;
static int plain;
static const char* watches[64];  // what each watch is of, by its number

static void fail(const char* what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}
static int check(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}
#define OK(call) check((int)(call), #call)

static int watch(const char* path, uint32_t mask) {
  int wd = inotify_add_watch(notify, path, mask);
  if (wd < 0) {
    printf("  watch %s: %s\n", path, strerror(errno));
    return wd;
  }
  if (wd < 64) watches[wd] = strdup(path);
  return wd;
}

static void print_mask(uint32_t mask) {
  static const struct {
    uint32_t bit;
    const char* name;
  } names[] = {{IN_ACCESS, "access"},
               {IN_MODIFY, "modify"},
               {IN_ATTRIB, "attrib"},
               {IN_CLOSE_WRITE, "close_write"},
               {IN_CLOSE_NOWRITE, "close_nowrite"},
               {IN_OPEN, "open"},
               {IN_MOVED_FROM, "moved_from"},
               {IN_MOVED_TO, "moved_to"},
               {IN_CREATE, "create"},
               {IN_DELETE, "delete"},
               {IN_DELETE_SELF, "delete_self"},
               {IN_MOVE_SELF, "move_self"},
               {IN_IGNORED, "ignored"},
               {IN_UNMOUNT, "unmount"},
               {IN_Q_OVERFLOW, "overflow"},
               {IN_ISDIR, "isdir"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (mask & names[i].bit) printf(" %s", names[i].name);
}

// Prints what was told since the last step. Cookies count from 1 in each step.
static void step(const char* what) {
  static char buffer[65536] __attribute__((aligned(8)));
  uint32_t cookies[64];
  size_t known = 0;
  printf("%s\n", what);
  for (;;) {
    ssize_t n = read(notify, buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN) break;
    OK(n);
    for (char* at = buffer; at < buffer + n;) {
      struct inotify_event* event = (struct inotify_event*)at;
      at += sizeof *event + event->len;
      printf("  %s:", event->wd >= 0 && event->wd < 64 ? watches[event->wd] : "?");
      print_mask(event->mask);
      if (event->len) printf(" [%s]", event->name);
      if (event->cookie) {
        size_t i = 0;
        while (i < known && cookies[i] != event->cookie) ++i;
        if (i == known && known < 64) cookies[known++] = event->cookie;
        printf(" #%zu", i + 1);
      }
      printf("\n");
    }
  }
  fflush(stdout);
}

static void put(const char* path, const char* text) {
  int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  OK(write(fd, text, strlen(text)));
  OK(close(fd));
}
static void get(const char* path, const char* expected) {
  char text[256] = "";
  int fd = OK(open(path, O_RDONLY));
  ssize_t n = OK(read(fd, text, sizeof text - 1));
  text[n] = '\0';
  if (strcmp(text, expected) != 0) printf("  %s has '%s' instead of '%s'\n", path, text, expected);
  OK(close(fd));
}

static void prepare(void) {
  OK(mkdir("d", 0755));
  OK(mkdir("away", 0755));
  OK(mkdir("d/sub", 0755));
  put("d/old", "old");
  put("d/quiet", "quiet");
  put("d/gone", "gone");
  put("d/program", "#!/bin/sh\n");
  OK(chmod("d/program", 0755));
  put("d/twin1", "twin");
  OK(link("d/twin1", "d/twin2"));
  OK(link("d/twin1", "away/twin3"));
  OK(symlink("old", "d/symlink"));
  put("away/comes", "comes");
  put("away/comes2", "comes2");
  OK(mkdir("away/dir", 0755));
  put("away/dir/f", "f");
}

static void files(void) {
  put("d/new", "content");
  step("a new file");
  get("d/old", "old");
  step("read");
  put("d/old", "older");
  step("written anew");
  int fd = OK(open("d/quiet", O_WRONLY | O_APPEND));
  OK(write(fd, "!", 1));
  step("appended");
  OK(ftruncate(fd, 3));
  step("cut by descriptor");
  OK(fchmod(fd, 0600));
  step("fchmod");
  OK(close(fd));
  step("closed");
  OK(truncate("d/quiet", 1));
  step("cut by path");
  OK(truncate("d/program", 5));
  step("cut what was never opened");
  get("d/program", "#!/bi");
  step("and read");
  get("d/twin2", "twin");
  step("one of two links");
  fd = OK(open("d/twin1", O_WRONLY));
  OK(write(fd, "T", 1));
  OK(close(fd));
  step("the other one, written");
  get("d/twin2", "Twin");
  step("and read");
  get("away/twin3", "Twin");
  step("by a third, elsewhere");
}

static void attributes(void) {
  struct timespec both[2] = {{100, 0}, {200, 0}};
  struct timespec atime[2] = {{300, 0}, {0, UTIME_OMIT}};
  struct timespec mtime[2] = {{0, UTIME_OMIT}, {400, 0}};
  const char* const names[] = {"d/old", "d/program", "d/sub", "d"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    printf("%s:\n", names[i]);
    OK(chmod(names[i], 0755));
    step("chmod");
    OK(utimensat(AT_FDCWD, names[i], both, 0));
    step("both times");
    OK(utimensat(AT_FDCWD, names[i], atime, 0));
    step("one time");
    OK(utimensat(AT_FDCWD, names[i], mtime, 0));
    step("the other");
    OK(chown(names[i], (uid_t)-1, getegid()));
    step("chown");
    if (plain) continue;
    OK(setxattr(names[i], "user.x", "y", 1, 0));
    OK(removexattr(names[i], "user.x"));
    step("attributes");
  }
}

static void names(void) {
  OK(mkdir("d/made", 0755));
  step("mkdir");
  OK(rmdir("d/made"));
  step("rmdir");
  OK(symlink("x", "d/l"));
  step("symlink");
  OK(mknod("d/fifo", S_IFIFO | 0600, 0));
  step("mknod");
  OK(link("d/old", "d/old2"));
  step("link");
  OK(link("away/comes2", "d/comes2"));
  step("link from elsewhere");
  OK(unlink("d/comes2"));
  OK(unlink("d/old2"));
  OK(unlink("d/l"));
  OK(unlink("d/fifo"));
  step("unlink");
  struct sockaddr_un name = {AF_UNIX, "d/socket"};
  int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(bind(fd, (struct sockaddr*)&name, sizeof name));
  OK(close(fd));
  OK(unlink("d/socket"));
  step("a socket");
  if (!plain) {
    fd = OK(open("d", O_TMPFILE | O_RDWR, 0600));
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, link, AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW));
    OK(close(fd));
    step("a file without a name gets one");
    OK(unlink("d/named"));
    step("and is gone");
  }
  fd = OK(open("d/gone", O_RDWR));
  OK(unlink("d/gone"));
  step("removed while open");
  OK(write(fd, "x", 1));
  OK(close(fd));
  step("written and closed");
}

static void exchanges(void) {
  OK(renameat2(AT_FDCWD, "d/sub", AT_FDCWD, "d/tool", RENAME_EXCHANGE));
  step("exchanged");
  OK(renameat2(AT_FDCWD, "d/sub", AT_FDCWD, "d/tool", RENAME_EXCHANGE));
  step("and back");
  OK(renameat2(AT_FDCWD, "d/old", AT_FDCWD, "away/comes2", RENAME_EXCHANGE));
  step("exchanged with one elsewhere");
  get("d/old", "comes2");
  get("away/comes2", "content");
  step("and read");
}

static void moves(void) {
  OK(rename("d/new", "d/newer"));
  step("mv inside");
  OK(rename("d/newer", "d/old"));
  step("mv over another");
  get("d/old", "content");
  step("and read");
  OK(rename("d/old", "away/old"));
  step("mv out");
  get("away/old", "content");
  step("read there");
  OK(rename("away/old", "d/old"));
  step("mv back");
  get("d/old", "content");
  step("and read");
  OK(rename("away/comes", "d/comes"));
  step("mv in what was never opened");
  get("d/comes", "comes");
  step("and read");
  OK(rename("d/quiet", "d/comes"));
  step("mv over that");
  OK(rename("d/symlink", "d/s2"));
  OK(rename("d/program", "d/tool"));
  step("mv of a link and a program");
  OK(rename("d/sub", "d/sub2"));
  step("mv of a directory");
  OK(rename("d/sub2", "away/sub"));
  step("mv of a directory out");
  OK(rename("away/sub", "d/sub"));
  step("and in");
  OK(rename("away/dir", "d/dir"));
  step("another in, with a file");
  get("d/dir/f", "f");
  step("which is read");
  if (!plain) exchanges();
  OK(mkdir("d/empty", 0755));
  OK(rename("d/sub", "d/empty"));
  step("mv of a directory over one");
  OK(rename("d/empty", "d/sub"));
  step("and back");
}

// Others than the directory are watched, too.
static void selves(void) {
  watch("d/sub", IN_ALL_EVENTS);
  watch("d/old", IN_ATTRIB | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF);
  step("watched");
  put("d/sub/f", "f");
  step("a file below");
  OK(rename("d/sub/f", "d/f"));
  step("mv between watched ones");
  OK(chmod("d/old", 0640));
  step("chmod of the watched file");
  put("d/old", "again");
  step("written");
  OK(rename("d/old", "d/old3"));
  step("moved");
  OK(unlink("d/old3"));
  step("removed");
  OK(rename("d/sub", "away/sub"));
  step("a watched directory moves out");
  put("away/sub/g", "g");
  step("a file in it");
  OK(unlink("away/sub/g"));
  OK(rmdir("away/sub"));
  step("it is removed");
}

static void flags(void) {
  printf("flags\n");
  watch("d/f", IN_ALL_EVENTS | IN_ONLYDIR);
  watch("d", IN_CREATE | IN_MASK_CREATE);
  watch("d", IN_CREATE);
  put("d/h", "h");
  step("only what is made");
  watch("d", IN_DELETE | IN_MASK_ADD);
  OK(unlink("d/h"));
  put("d/h", "h");
  step("and removed");
  watch("d", IN_DELETE | IN_ONESHOT);
  OK(unlink("d/h"));
  OK(unlink("d/f"));
  step("once");
  int wd = watch("d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  int fd = OK(open("d/i", O_RDWR | O_CREAT, 0600));
  OK(unlink("d/i"));
  OK(write(fd, "x", 1));
  OK(close(fd));
  step("nothing of what is unlinked");
  OK(inotify_rm_watch(notify, wd));
  put("d/j", "j");
  step("not any more");
  watch("d", IN_ALL_EVENTS);
}

static void end(void) {
  OK(rename("d", "e"));
  step("the directory moves");
  put("e/k", "k");
  step("a file in it");
  OK(rename("e", "away/e"));
  put("away/e/m", "m");
  step("once more");
  OK(unlink("away/e/dir/f"));
  OK(rmdir("away/e/dir"));
  static const char* const left[] = {"k", "m", "j", "tool", "comes", "twin1", "twin2", "s2"};
  for (size_t i = 0; i < sizeof left / sizeof *left; ++i) {
    char path[64];
    snprintf(path, sizeof path, "away/e/%s", left[i]);
    OK(unlink(path));
  }
  OK(rmdir("away/e"));
  step("all is gone");
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  plain = getenv("PLAIN") != NULL;
  OK(chdir(argv[1]));
  OK(notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  // `prepared`: another process did, so that nothing is known of what is there.
  if (argc < 3 || strcmp(argv[2], "prepared") != 0) prepare();
  if (argc > 2 && strcmp(argv[2], "prepare") == 0) return 0;
  int before = OK(open("d/twin1", O_RDWR));
  watch("d", IN_ALL_EVENTS);
  watch("d", IN_ALL_EVENTS);
  step("watched");
  OK(write(before, "t", 1));
  OK(close(before));
  step("written to what was open");
  files();
  attributes();
  names();
  moves();
  selves();
  flags();
  end();
  return 0;
}

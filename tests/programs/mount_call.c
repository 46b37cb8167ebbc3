// mount(2) and umount2(2), of which the error's name or "ok" is printed.
//   mount_call mount SOURCE TARGET TYPE FLAGS DATA    "-" is NULL
//   mount_call umount TARGET FLAGS
//   mount_call detached DIR    takes DIR away (MNT_DETACH) and goes on in it by a descriptor
//   mount_call covered DIR     mounts a tmpfs over DIR and does the same
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char* given(const char* text) { return strcmp(text, "-") == 0 ? NULL : text; }

static int say(const char* what, long result) {
  printf("%s%s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
  return result < 0;
}

/// With descriptors of a directory and of the file `f` in it, which had been opened before.
static int go_on(int dir, int file) {
  char text[16] = {0};
  struct stat st;
  int failed = 0;
  failed |= say("read: ", pread(file, text, sizeof text - 1, 0));
  printf("%s", text);
  failed |= say("fchmod: ", fchmod(file, 0600));
  failed |= say("openat: ", openat(dir, "f", O_RDONLY));
  failed |= say("create: ", openat(dir, "made", O_WRONLY | O_CREAT, 0644));
  failed |= say("fstatat: ", fstatat(dir, "made", &st, 0));
  failed |= say("fchdir: ", fchdir(dir));
  failed |= say("stat: ", stat("made", &st));
  failed |= say("unlink: ", unlink("made"));
  failed |= say("stat: ", stat("f", &st));
  printf("mode %o\n", st.st_mode & 0777U);
  failed |= say("unlink: ", unlink("f"));
  failed |= say("fchmod: ", fchmod(file, 0640));
  failed |= say("fstat: ", fstat(file, &st));
  printf("mode %o, links %d\n", st.st_mode & 0777U, (int)st.st_nlink);
  return failed;
}

int main(int argc, char** argv) {
  if (argc == 7 && strcmp(argv[1], "mount") == 0) {
    return say("", mount(given(argv[2]), argv[3], given(argv[4]), strtoul(argv[5], NULL, 0),
                         given(argv[6])));
  }
  if (argc == 4 && strcmp(argv[1], "umount") == 0)
    return say("", umount2(argv[2], (int)strtol(argv[3], NULL, 0)));
  if (argc != 3) return 2;
  int dir = open(argv[2], O_RDONLY | O_DIRECTORY);
  int file = openat(dir, "f", O_RDONLY);
  if (dir < 0 || file < 0) return 2;
  int cover = strcmp(argv[1], "covered") == 0;
  long done = cover ? mount("none", argv[2], "tmpfs", 0, NULL) : umount2(argv[2], MNT_DETACH);
  if (say("", done)) return 1;
  return go_on(dir, file);
}

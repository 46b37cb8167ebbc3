// native_lookup PATH DIR NAME: makes the calls that the engine's own code makes in a process to look up
// names without a stop, as a hostile program would. Prints what it could open, and what of it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long magic = 0x766174736c6f6f6b;

static long lookup(long nr, long a, long b, long c, long d) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = magic;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static void told(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerror((int)-result) : "done");
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const char* path = argv[1];
  char text[64] = "";
  long fd = lookup(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0);
  told("open to read", fd);
  if (fd >= 0) {
    ssize_t n = read((int)fd, text, sizeof text - 1);
    printf("content: %.*s\n", n < 0 ? 0 : (int)strcspn(text, "\n"), text);
    told("write", write((int)fd, "x", 1) < 0 ? -errno : 0);
    told("fchmod", fchmod((int)fd, 0777) < 0 ? -errno : 0);
    told("ftruncate", ftruncate((int)fd, 0) < 0 ? -errno : 0);
  }
  static const int kWrites[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT | O_TRUNC};
  for (size_t i = 0; i < sizeof kWrites / sizeof *kWrites; ++i) {
    long other = lookup(SYS_openat, AT_FDCWD, (long)path, kWrites[i], 0666);
    if (other >= 0) {
      if (write((int)other, "changed\n", 8) < 0) perror("write");
      close((int)other);
    }
    told("open to write", other);
  }
  long dir = lookup(SYS_openat, AT_FDCWD, (long)argv[2], O_RDONLY | O_DIRECTORY, 0);
  told("open the directory", dir);
  if (dir >= 0) {
    int made = openat((int)dir, argv[3], O_WRONLY | O_CREAT, 0666);
    told("make a file in it", made < 0 ? -errno : 0);
    told("unlink in it", unlinkat((int)dir, argv[3], 0) < 0 ? -errno : 0);
  }
  return 0;
}

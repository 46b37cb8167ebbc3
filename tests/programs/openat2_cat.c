// openat2_cat FILE [RESOLVE]: opens FILE with openat2(2) and prints it, or the error's name. In a
// scope the kernel says EAGAIN while anything on the machine is renamed: it is asked again.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  struct open_how how = {.flags = O_RDONLY};
  if (argc > 2) how.resolve = strtoul(argv[2], NULL, 0);
  int fd = -1;
  for (int i = 0; i < 10000; ++i) {
    fd = (int)syscall(SYS_openat2, AT_FDCWD, argv[1], &how, sizeof(how));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  if (fd < 0) {
    printf("%s\n", strerrorname_np(errno));
    return 1;
  }
  char text[4096];
  ssize_t n;
  while ((n = read(fd, text, sizeof(text))) > 0) {
    if (fwrite(text, 1, (size_t)n, stdout) != (size_t)n) return 1;
  }
  return n < 0;
}

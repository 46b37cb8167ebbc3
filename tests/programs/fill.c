// fill CALL FILE: lets FILE grow by one kind of system call until that fails; prints the error and
// the size that the file has then.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kChunk = 65536 };

static char bytes[kChunk];

/// One more piece at `size`; as the call of that name.
static ssize_t grow(const char *call, int fd, int source, const int *ends, off_t size) {
  struct iovec parts[2] = {{bytes, kChunk / 2}, {bytes, kChunk / 2}};
  off_t zero = 0;
  if (strcmp(call, "write") == 0) return write(fd, bytes, kChunk);
  if (strcmp(call, "pwrite") == 0) return pwrite(fd, bytes, kChunk, size);
  if (strcmp(call, "writev") == 0) return writev(fd, parts, 2);
  if (strcmp(call, "pwritev") == 0) return pwritev(fd, parts, 2, size);
  if (strcmp(call, "pwritev2") == 0) return pwritev2(fd, parts, 2, size, 0);
  if (strcmp(call, "fallocate") == 0) return fallocate(fd, 0, size, kChunk);
  if (strcmp(call, "sendfile") == 0) return sendfile(fd, source, &zero, kChunk);
  if (strcmp(call, "copy_file_range") == 0) return copy_file_range(source, &zero, fd, NULL, kChunk, 0);
  if (strcmp(call, "splice") == 0) {
    if (write(ends[1], bytes, kChunk) != kChunk) return -1;
    return splice(ends[0], NULL, fd, NULL, kChunk, 0);
  }
  errno = ENOSYS;
  return -1;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644);
  int source = memfd_create("source", 0);
  int ends[2];
  if (fd < 0 || source < 0 || pipe(ends) < 0 || write(source, bytes, kChunk) != kChunk) return 3;
  struct stat st;
  for (int i = 0; i < 1000; ++i) {
    if (fstat(fd, &st) < 0) return 4;
    if (grow(argv[1], fd, source, ends, st.st_size) < 0) {
      int error = errno;
      if (fstat(fd, &st) < 0) return 4;
      printf("%s %s %ld\n", argv[1], strerrorname_np(error), (long)st.st_size);
      return 0;
    }
  }
  printf("%s has no end\n", argv[1]);
  return 1;
}

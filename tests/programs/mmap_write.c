// mmap_write FILE TEXT: writes TEXT at the start of FILE through a shared mapping.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int fd = open(argv[1], O_RDWR);
  if (fd < 0) return perror("open"), 1;
  char* text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (text == MAP_FAILED) return perror("mmap"), 1;
  close(fd);
  memcpy(text, argv[2], strlen(argv[2]));
  return munmap(text, 4096);
}

// syscall_number NUMBER...: makes each call without arguments and prints the error's name or "ok".
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    long result = syscall(strtol(argv[i], NULL, 0), -1, -1, -1, -1, -1, -1);
    printf("%s\n", result == -1 ? strerrorname_np(errno) : "ok");
  }
  return 0;
}

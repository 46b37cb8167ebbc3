// thread_rename THREADS ROUNDS: each thread writes, renames and reads back files of its own and of
// a common directory. Prints the number of errors.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int errors;
static int rounds;

static void check(int good) {
  if (!good) atomic_fetch_add(&errors, 1);
}

static void put(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  if (fd >= 0) close(fd);
}

static void* work(void* argument) {
  int self = (int)(long)argument;
  char from[64], to[64], text[64], back[64];
  for (int i = 0; i < rounds; ++i) {
    snprintf(from, sizeof(from), "own/t%d.new", self);
    snprintf(to, sizeof(to), "own/t%d", self);
    snprintf(text, sizeof(text), "%d %d", self, i);
    put(from, text);
    check(rename(from, to) == 0);
    int fd = open(to, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, back, sizeof(back) - 1);
    check(n == (ssize_t)strlen(text) && memcmp(back, text, (size_t)n) == 0);
    if (fd >= 0) close(fd);
    put(from, text);
    check(rename(from, "common/latest") == 0);
    check(access("common/latest", R_OK) == 0);
  }
  return NULL;
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 64;
  rounds = argc > 2 ? atoi(argv[2]) : 50;
  pthread_t threads[256];
  if (count > 256) count = 256;
  mkdir("own", 0755);
  mkdir("common", 0755);
  for (int i = 0; i < count; ++i)
    check(pthread_create(&threads[i], NULL, work, (void*)(long)i) == 0);
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  put("common/latest", "done");
  printf("%d errors\n", errors);
  return errors != 0;
}

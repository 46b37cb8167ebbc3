// fork_tree COUNT: a tree of COUNT processes, two children each. Each writes the file node_I with
// the number of its parent and waits for its children. Exit status 0 if all went well.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int node(int self, int parent, int count) {
  char name[32];
  char text[32];
  snprintf(name, sizeof(name), "node_%d", self);
  int length = snprintf(text, sizeof(text), "%d\n", parent);
  int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, (size_t)length) != length || close(fd) != 0) return 1;
  int failed = 0;
  for (int child = 2 * self + 1; child <= 2 * self + 2 && child < count; ++child) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) _exit(node(child, self, count));
  }
  int status;
  while (wait(&status) > 0) {
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) failed = 1;
  }
  return failed;
}

int main(int argc, char** argv) { return node(0, -1, argc > 1 ? atoi(argv[1]) : 500); }

// Who a process is, asked of the kernel itself (no C library in between), and whose a file is.
//   ids all            by every call, in the auxiliary vector, in a thread, a child, a vforked one
//   ids set            what the set*id calls say
//   ids owner PATH     by every call of the stat family, by path and by descriptor
//   ids chown PATH UID GID    by every call of the chown family
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(long nr, long a, long b, long c) {
  long result = syscall(nr, a, b, c);
  return result < 0 ? -errno : result;
}

static void show(const char* who) {
  unsigned u[3] = {7, 7, 7}, g[3] = {7, 7, 7}, list[64];
  call(SYS_getresuid, (long)&u[0], (long)&u[1], (long)&u[2]);
  call(SYS_getresgid, (long)&g[0], (long)&g[1], (long)&g[2]);
  printf("%s: uid %ld %ld %u %u %u %ld gid %ld %ld %u %u %u %ld groups", who,
         call(SYS_getuid, 0, 0, 0), call(SYS_geteuid, 0, 0, 0), u[0], u[1], u[2],
         call(SYS_setfsuid, -1, 0, 0), call(SYS_getgid, 0, 0, 0), call(SYS_getegid, 0, 0, 0), g[0],
         g[1], g[2], call(SYS_setfsgid, -1, 0, 0));
  long n = call(SYS_getgroups, 64, (long)list, 0);
  if (n != call(SYS_getgroups, 0, 0, 0)) printf(" (miscounted)");
  for (long i = 0; i < n; ++i) printf(" %u", list[i]);
  printf("\n");
  fflush(stdout);
}

static void* in_thread(void* none) {
  show("thread");
  return none;
}

static void on_signal(int signal) {
  (void)signal;
  show("handler");
}

static int all(void) {
  show("process");
  printf("auxv: %lu %lu %lu %lu secure %lu\n", getauxval(AT_UID), getauxval(AT_EUID),
         getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE));
  fflush(stdout);
  pthread_t thread;
  if (pthread_create(&thread, NULL, in_thread, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
  pid_t child = fork();
  if (child == 0) {
    show("child");
    _exit(0);
  }
  waitpid(child, NULL, 0);
  child = vfork();
  if (child == 0) _exit((int)(call(SYS_geteuid, 0, 0, 0) & 127));
  int status = 0;
  waitpid(child, &status, 0);
  printf("vforked: %d\n", WEXITSTATUS(status));
  printf("faults: %ld %ld %ld\n", call(SYS_getresuid, 0, 0, 0), call(SYS_getgroups, -1, 0, 0),
         call(SYS_getgroups, 64, 0, 0));
  return 0;
}

static void try(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerrorname_np((int)-result) : "ok");
}

static int set(void) {
  long uid = call(SYS_geteuid, 0, 0, 0), gid = call(SYS_getegid, 0, 0, 0);
  unsigned list[65];
  long n = call(SYS_getgroups, 64, (long)list, 0);
  try("setuid to the same", call(SYS_setuid, uid, 0, 0));
  try("setgid to the same", call(SYS_setgid, gid, 0, 0));
  try("setreuid to the same", call(SYS_setreuid, uid, uid, 0));
  try("setregid to the same", call(SYS_setregid, gid, gid, 0));
  try("setresuid of nothing", call(SYS_setresuid, -1, -1, -1));
  try("setresgid of nothing", call(SYS_setresgid, -1, -1, -1));
  try("setgroups to the same", call(SYS_setgroups, n, (long)list, 0));
  try("setuid to none", call(SYS_setuid, -1, 0, 0));
  try("setgroups of too many", call(SYS_setgroups, 65537, (long)list, 0));
  try("setgroups of nowhere", call(SYS_setgroups, 1, 0, 0));
  try("setuid to another", call(SYS_setuid, uid + 33, 0, 0));
  try("setresuid to another", call(SYS_setresuid, -1, uid + 33, -1));
  try("setgid to another", call(SYS_setgid, gid + 33, 0, 0));
  try("setgroups to others", call(SYS_setgroups, 0, 0, 0));
  printf("setfsuid to another: was %d", call(SYS_setfsuid, uid + 33, 0, 0) == uid);
  printf(", is %d\n", call(SYS_setfsuid, -1, 0, 0) == uid);
  return 0;
}

static int owner(const char* path) {
  struct stat st[6];
  struct statx sx[3];
  memset(st, 7, sizeof st);
  memset(sx, 7, sizeof sx);
  int fd = open(path, O_PATH);
  syscall(SYS_stat, path, &st[0]);
  syscall(SYS_lstat, path, &st[1]);
  syscall(SYS_newfstatat, AT_FDCWD, path, &st[2], 0);
  syscall(SYS_newfstatat, AT_FDCWD, path, &st[3], AT_SYMLINK_NOFOLLOW);
  syscall(SYS_newfstatat, fd, "", &st[4], AT_EMPTY_PATH);
  syscall(SYS_fstat, fd, &st[5]);
  syscall(SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &sx[0]);
  syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx[1]);
  syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_UID | STATX_GID, &sx[2]);
  for (int i = 0; i < 6; ++i) printf("%u:%u ", st[i].st_uid, st[i].st_gid);
  for (int i = 0; i < 3; ++i) printf("%u:%u%s", sx[i].stx_uid, sx[i].stx_gid, i < 2 ? " " : "\n");
  return (sx[0].stx_mask >> 31) != 0;
}

static int change(const char* path, unsigned uid, unsigned gid) {
  int fd = open(path, O_RDONLY);
  try("chown", call(SYS_chown, (long)path, uid, gid));
  try("lchown", call(SYS_lchown, (long)path, uid, gid));
  try("fchown", call(SYS_fchown, fd, uid, gid));
  long result = syscall(SYS_fchownat, AT_FDCWD, path, uid, gid, 0);
  try("fchownat", result < 0 ? -errno : result);
  result = syscall(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH);
  try("fchownat of a descriptor", result < 0 ? -errno : result);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "all") == 0) return all();
  if (argc == 2 && strcmp(argv[1], "set") == 0) return set();
  if (argc == 3 && strcmp(argv[1], "owner") == 0) return owner(argv[2]);
  if (argc == 5 && strcmp(argv[1], "chown") == 0)
    return change(argv[2], (unsigned)strtoul(argv[3], NULL, 10),
                  (unsigned)strtoul(argv[4], NULL, 10));
  return 2;
}

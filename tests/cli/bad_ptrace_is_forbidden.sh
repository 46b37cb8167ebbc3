#!/bin/bash
# Where ptrace is forbidden (a container's filter, Yama) viewsh says so in one line, and doctor says
# which and what to do. The filter is made with a program that forbids it for itself.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need gcc
cat >"$T/forbid.c" <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
// forbid NUMBER COMMAND...: NUMBER fails with EPERM in COMMAND.
int main(int argc, char **argv) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(argv[1]), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {4, code};
  if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    return 99;
  execvp(argv[2], argv + 2);
  return 98;
}
C
gcc "$T/forbid.c" -o "$T/forbid" || die "the program that forbids"
assert_status 0 "$T/forbid" 101 true
refused 125 'ptrace' "$T/forbid" 101 "$VIEWSH" run --cow / -- true
status=0
"$T/forbid" 101 "$VIEWSH" doctor >"$T/out" 2>&1 || status=$?
[ "$status" != 0 ] || die "doctor finds nothing wrong"
assert_contains "doctor" "$(cat "$T/out")" 'ptrace'
refused 125 'seccomp' "$T/forbid" 317 "$VIEWSH" run --cow / -- true
"$VIEWSH" doctor >"$T/out" 2>&1 || die "doctor on this system: $(cat "$T/out")"

# shellcheck shell=bash
# Sourced: private_run LIMIT COMMAND... runs COMMAND as an ordinary user with a directory of its own.
#
# COMMAND gets VIEWSH_TEST_DIR (removed at the end), HOME, TMPDIR and XDG_* below it, a plain
# environment, and LIMIT seconds. Root becomes a user id that nobody has, so that what is left over
# can be told by its owner. What COMMAND leaves running is named, ended and fails the test.

# private_pids: the processes that have this test's directory in their environment, a line each.
private_pids() {
  local dir=$1 file pid
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    if [ "$pid" != "$BASHPID" ] && grep -qzxF "VIEWSH_TEST_DIR=$dir" "$file" 2>/dev/null; then
      echo "$pid"
    fi
  done
}

private_run() {
  local limit=$1 dir user=() status=0 pid left="" uid=''
  shift
  dir=$(mktemp -d "${VIEWSH_TEST_BASE:-/tmp}/vt.XXXXXX") || exit 1
  chmod 755 "$dir"
  mkdir -p "$dir/home" "$dir/tmp" "$dir/state" "$dir/run"
  chmod 700 "$dir/run"
  if [ "$(id -u)" = 0 ]; then
    uid=$((200000 + BASHPID % 4000000))
    chown -R "$uid:$uid" "$dir"
    user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
  fi
  (
    cd "$dir" || exit 1
    umask 022
    exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C TZ=UTC \
      USER=tester LOGNAME=tester SHELL=/bin/bash TERM=xterm HOME="$dir/home" TMPDIR="$dir/tmp" \
      XDG_STATE_HOME="$dir/state" XDG_RUNTIME_DIR="$dir/run" VIEWSH_TEST_DIR="$dir" \
      VIEWSH="${VIEWSH-}" VIEWSH_TEST_PROGRAMS="${VIEWSH_TEST_PROGRAMS-}" \
      VIEWSH_SOURCE_DIR="${VIEWSH_SOURCE_DIR-}" VIEWSH_BUILD_DIR="${VIEWSH_BUILD_DIR-}" \
      VIEWSH_TEST_NATIVE="${VIEWSH_TEST_NATIVE-}" VIEWSH_TEST_MODE="${VIEWSH_TEST_MODE-}" \
      VIEWSH_FOREIGN_ROOT="${VIEWSH_FOREIGN_ROOT-}" \
      VIEWSH_PJDFSTEST="${VIEWSH_PJDFSTEST-}" \
      ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS-}" UBSAN_OPTIONS="${UBSAN_OPTIONS-}" \
      timeout --kill-after=10 "$limit" ${user[@]+"${user[@]}"} "$@"
  ) || status=$?
  if [ "$status" = 124 ]; then echo "FAIL: not done after $limit seconds"; fi
  # What was told to end may need a moment.
  SECONDS=0
  while [ -n "$(private_pids "$dir")" ] && [ "$SECONDS" -lt 5 ]; do sleep 0.1; done
  for pid in $(private_pids "$dir"); do
    left+=" $pid ($({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null))"
    kill -KILL "$pid" 2>/dev/null
  done
  if [ -n "$left" ]; then
    echo "FAIL: left running:$left"
    if [ "$status" = 0 ]; then status=1; fi
  fi
  # Views that were killed: nobody else has this uid, whose next view would take them away.
  [ -z "$uid" ] || rm -rf "/dev/shm/viewsh-$uid-"*
  if [ -n "${VIEWSH_TEST_KEEP-}" ]; then
    echo "kept: $dir"
  else
    rm -rf "$dir" 2>/dev/null || { chmod -R u+rwX "$dir"; rm -rf "$dir"; }
  fi
  return "$status"
}

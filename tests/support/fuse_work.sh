# shellcheck shell=bash
# Sourced in the view by scenarios with FUSE programs (fuse_programs.sh): what is done on their mounts.

# wrong WHAT: ends the scenario's part in the view.
wrong() {
  echo "WRONG: $*"
  exit 1
}
# make_tree DIR: what is copied, compared and archived. Links, modes, times, an empty file, one of
# more than one request, names that aren't ASCII.
make_tree() {
  mkdir -p "$1/sub/deep" "$1/empty" || return
  echo hello >"$1/a" && : >"$1/none" && seq 60000 >"$1/sub/numbers"
  head -c 700000 /dev/urandom >"$1/sub/deep/bytes"
  echo umlaut >"$1/sub/$(printf 'gr\303\274n')"
  printf '#!/bin/sh\necho ran\n' >"$1/run" && chmod 755 "$1/run"
  # Not to what has a time of its own: sshfs gives the time of a link to where it leads.
  ln -s none "$1/link" && ln -s ../sub/numbers "$1/sub/far"
  chmod 640 "$1/a"
  touch -h -d '2001-02-03 04:05:06' "$1/a" "$1/sub/numbers"
}
# plain_tree DIR: the same without what FAT and its like don't have.
plain_tree() {
  make_tree "$1" && rm "$1/link" "$1/sub/far"
}
# mounted DIR: waits until something is mounted there.
mounted() {
  local left=100
  until mountpoint -q "$1"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || wrong "nothing is mounted at $1"
    sleep 0.1
  done
}
# shows DIR TREE: what is mounted is this tree, read whole and copied out of it.
shows() {
  diff -r --no-dereference "$2" "$1" || wrong "$1 isn't $2"
  cp -a "$1" "$TMPDIR/out" || wrong "cp -a out of $1"
  diff -r --no-dereference "$2" "$TMPDIR/out" || wrong "the copy of $1 isn't $2"
  chmod -R u+rwX "$TMPDIR/out" && rm -r "$TMPDIR/out" || wrong "rm of the copy"
}
# works DIR TREE [CP_OPTION]: the tree is copied into it, changed and removed.
works() {
  cp "${3:--a}" "$2" "$1/copy" || wrong "cp into $1"
  diff -r --no-dereference "$2" "$1/copy" || wrong "the copy in $1 isn't $2"
  if [ "${3:--a}" = -a ]; then
    [ "$(stat -c '%a %Y' "$1/copy/a")" = "$(stat -c '%a %Y' "$2/a")" ] || wrong "mode and time of a copy"
  fi
  echo more >>"$1/copy/a" && truncate -s 100000 "$1/copy/sub/numbers" || wrong "changes"
  [ "$(cat "$1/copy/a")" = "$(printf 'hello\nmore')" ] || wrong "appended: $(cat "$1/copy/a")"
  head -c 100000 "$2/sub/numbers" | cmp - "$1/copy/sub/numbers" || wrong "truncated"
  mv "$1/copy/sub" "$1/copy/moved" && mv "$1/copy/a" "$1/copy/moved/b" || wrong "mv"
  [ ! -e "$1/copy/sub" ] && [ -f "$1/copy/moved/b" ] || wrong "names after mv"
  rm -r "$1/copy" || wrong "rm -r"
  [ ! -e "$1/copy" ] || wrong "it is still there"
}
# servers NAME: the processes of the scenario with this name.
servers() {
  local file pid
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    grep -qzxF "VIEWSH_TEST_DIR=$VIEWSH_TEST_DIR" "$file" 2>/dev/null || continue
    grep -qF "$1" "/proc/$pid/comm" 2>/dev/null && echo "$pid"
  done
}
# ended NAME: waits until there is no such process.
ended() {
  local left=100
  while [ -n "$(servers "$1")" ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || wrong "$1 goes on: $(servers "$1")"
    sleep 0.1
  done
}
# unmounts DIR NAME: umount(8), after which the server ends by itself.
unmounts() {
  umount "$1" || wrong "umount $1"
  ! mountpoint -q "$1" || wrong "$1 is still mounted"
  ended "$2"
}

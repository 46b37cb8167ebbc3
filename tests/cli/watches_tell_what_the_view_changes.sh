#!/bin/bash
# inotify: one program changes a directory in every way while it watches it, natively and in each kind of mount. What
# it is told is the same everywhere: in an ext image, also one in which nothing was looked at before, and behind a bind
# of it; in the mount of a FUSE server, a tmpfs, a bind and a merge. tail -F, inotifywait and entr see changes in an
# image; what is only read can be watched, and nothing is told.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs
cd "$W" || exit 1
mkdir native plain real top below below/in served m b
"$P/watch_events" native >expected || die "natively: $(tail -3 expected)"
[ "$(wc -l <expected)" -gt 250 ] || die "natively it tells only $(wc -l <expected) lines"

# same WHAT: what `got` says. A file without a name is called #, and a number, or nothing. A merge looks whether
# directories are empty, and who watches a file itself may hear the engine note what it has of it.
left_out='\[#| (open|access|close_nowrite) isdir|d/old: modify'
same() {
  diff <(grep -vE "$left_out" expected) <(grep -vE "$left_out" got) >differs || die "$1: natively (<) and in the view (>): $(head -20 differs)"
}
image() { # FILE SIZE
  mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" "$1" "$2" >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
}
clean() { # FILE
  e2fsck -fn "$1" >fsck.out 2>&1 || die "$1: $(cat fsck.out)"
}

image disk.img 32M
"$VIEWSH" run --mount "ext4:disk.img:$W/m" -- bash -c 'mkdir m/t && "$1" m/t' - "$P/watch_events" >got ||
  die "in an image: $(tail -3 got)"
same 'an ext4 image'
clean disk.img
"$VIEWSH" run --mount "ext4:disk.img:$W/m" -- bash -c 'mkdir m/u && "$1" m/u prepare' - "$P/watch_events" ||
  die 'an image is prepared'
"$VIEWSH" run --mount "ext4:disk.img:$W/m" -- "$P/watch_events" m/u prepared >got || die "an image: $(tail -3 got)"
same 'an ext4 image of which nothing was known'
clean disk.img
"$VIEWSH" run --mount "ext4:disk.img:$W/m" --bind "$W/m:$W/b" -- bash -c 'mkdir b/v && "$1" b/v' - \
  "$P/watch_events" >got || die "a bind of an image: $(tail -3 got)"
same 'a bind of an image'

PLAIN=1 "$P/watch_events" plain >expected || die "natively: $(tail -3 expected)"
export PLAIN=1
"$VIEWSH" run --tmpfs "$W/m" -- "$P/watch_events" m >got || die "tmpfs: $(tail -3 got)"
same 'a tmpfs'
"$VIEWSH" run --bind "$W/real:$W/b" -- "$P/watch_events" b >got || die "bind: $(tail -3 got)"
same 'a bind'
"$VIEWSH" run --merge "$W/top:$W/below:$W/b:rw" -- "$P/watch_events" b/in >got || die "merge: $(tail -3 got)"
same 'a directory of the second source of a merge'
if command -v bindfs >/dev/null; then
  "$VIEWSH" run --mount "fuse.bindfs:$W/served:$W/m" -- bash -c 'mkdir m/t && "$1" m/t' - "$P/watch_events" >got ||
    die "a FUSE server: $(tail -3 got)"
  same 'a FUSE server'
fi


# Programs.
"$VIEWSH" run --mount "ext4:disk.img:$W/m" -- bash -s "$T" >run.out 2>&1 <<'BODY' || die "programs: $(tail -5 run.out)"
mkdir m/real && cd m/real && echo one >log || exit 1
wait_for() { for _ in $(seq 400); do grep -qs "$1" "$2" && return; sleep 0.05; done; echo "no '$1' in $(cat "$2")"; exit 1; }
tail -n 1 -F log >"$1/tail" 2>/dev/null & tail=$!
wait_for one "$1/tail"
echo two >>log && wait_for two "$1/tail"
mv log log.1 && echo three >log && wait_for three "$1/tail"
echo four >>log && wait_for four "$1/tail"
kill "$tail"
if command -v inotifywait >/dev/null; then
  inotifywait -m -r --format '%e %w%f' . >"$1/wait" 2>"$1/wait.err" & wait=$!
  wait_for established "$1/wait.err"
  mkdir new && wait_for 'CREATE,ISDIR ./new' "$1/wait"
  mv log log.2 && wait_for 'MOVED_TO ./log.2' "$1/wait"
  rm log.1 && wait_for 'DELETE ./log.1' "$1/wait"
  kill "$wait"
fi
if command -v entr >/dev/null; then
  (echo log.2 | entr -n -z sh -c 'echo ran >>"$1"' - "$1/entr" >/dev/null 2>&1) & entr=$!
  wait_for ran "$1/entr"
  kill "$entr"
fi
exit 0
BODY
clean disk.img

"$VIEWSH" run --mount "ext4:disk.img:$W/m:ro" -- bash -s "$P/watch_events" "$T" >run.out 2>&1 <<'BODY' || die "read-only: $(tail -5 run.out)"
timeout 2 tail -n 1 -F m/real/log.2 >"$2/tail" 2>"$2/tail.err"
! grep -i inotify "$2/tail.err" && [ "$(cat "$2/tail")" = four ]
BODY

#!/bin/bash
# What can't be a reply ends its request with an error, or is none; who waits for a reply that never
# comes can be ended, keeps nobody else waiting, and is in the way of umount(8), but not with -f or -l.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3 findmnt
. "$(dirname "$0")/../support/fuse_raw.sh"
got=$(in_view <<'BODY'
raw
for name in garbage unknown short long twice wrong fails child; do
  echo "$name: $(timeout 20 stat -c %s "mnt/$name" 2>&1 | sed 's/.*: //')"
done
cat mnt/f1
timeout -s INT 0.5 cat mnt/never; echo "INT $?"
timeout -s KILL 0.5 cat mnt/never; echo "KILL $?"
umount mnt && ended
BODY
) || die "replies: $got"
assert_contains replies "$got" '^garbage: No such file or directory'
assert_contains replies "$got" '^unknown: No such file or directory'
for name in short long wrong fails; do assert_contains replies "$got" "^$name: Input/output error"; done
for name in twice child; do assert_contains replies "$got" "^$name: 14"; done
assert_contains "goes on" "$got" '^content of f1'
assert_contains SIGINT "$got" '^INT 124'
assert_contains SIGKILL "$got" '^KILL 137'
assert_contains "and on" "$got" '^server 0'

# -f lets go of who waits; what is open stays, and is not connected.
got=$(in_view <<'BODY'
raw
stat mnt/never >"$TMPDIR/never" 2>&1 & waits=$!
mkdir other && mount -t tmpfs none other
sleep 0.3
begin=$(ms)
ls -d mnt; ls >/dev/null; findmnt -no SOURCE mnt; grep -c " $PWD/mnt fuse" /proc/self/mounts
echo more >other/a; cat other/a mnt/f2; bash -c '(exit 3); exec true' && echo forks; umount other
[ $(($(ms) - begin)) -lt 8000 ] || echo "slow: $(($(ms) - begin))"
umount mnt 2>/dev/null; echo "umount $?"
exec 3<mnt/f4
umount -f mnt 2>/dev/null; echo "umount -f $?"
wait "$waits"; sed 's/.*: //' "$TMPDIR/never"
ended
cat mnt/f1
exec 3<&-
umount mnt; echo "umount $?"; ls mnt
BODY
) || die "-f: $got"
assert_eq "-f" "mnt
raw
1
more
content of f2
forks
umount 32
umount -f 32
Software caused connection abort
server 0
cat: mnt/f1: Transport endpoint is not connected
umount 0" "$got"
assert_contains "the server" "$(cat "$LOG")" '^end: ENODEV'
got=$(in_view <<'BODY'
raw
stat mnt/never >"$TMPDIR/never" 2>&1 & waits=$!
sleep 0.3
umount -l mnt && ls mnt
kill -KILL "$waits"
wait "$waits" 2>/dev/null
ended
raw
stat mnt/never >"$TMPDIR/never" 2>&1 & waits=$!
sleep 0.3
umount -f mnt; echo "umount -f $?"
wait "$waits"; sed 's/.*: //' "$TMPDIR/never"
ended
BODY
) || die "-l: $got"
assert_eq "-l" "server 0
umount -f 0
Software caused connection abort
server 0" "$(grep -v Killed <<<"$got")"

# A server that has files of its own open, and so have its children, which it waits for.
export RAW_OWN=1
got=$(in_view <<'BODY'
raw
for _ in $(seq 200); do grep -q 'has its own' "$LOG" && break; sleep 0.05; done
timeout 20 stat -c %s mnt/child; timeout 20 sh -c 'echo made >mnt/child1'; cat mnt/child1
kill "$s"
BODY
) || die "its own: $got"
assert_eq "its own" "14
made" "$got"

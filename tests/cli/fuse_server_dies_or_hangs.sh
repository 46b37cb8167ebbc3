#!/bin/bash
# A server that is killed leaves ECONNABORTED to who waits, ENOTCONN to others, and its place to
# another one; one that hangs keeps those waiting that ask it, who can be killed, and nobody else: not
# the view's end either.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
echo content >"$W/src/a"
echo other >"$W/src/b"
got=$(in_view <<'BODY'
mirror -s
disown "$s" # bash would tell of its end
cat mnt/a
kill -STOP "$s"
cat mnt/b & waits=$!
sleep 0.5
kill -KILL "$s"
wait "$waits"
sleep 1.2 # as long as attributes count
cat mnt/a; ls mnt; stat -c %n mnt
{ wait "$s"; } 2>/dev/null
umount mnt && ls mnt
mirror
cat mnt/a
umount mnt
ended
BODY
) || die "$got"
assert_eq "killed" "content
cat: mnt/b: Software caused connection abort
cat: mnt/a: Transport endpoint is not connected
ls: cannot access 'mnt': Transport endpoint is not connected
stat: cannot statx 'mnt': Transport endpoint is not connected
content
server 0" "$got"
got=$(in_view <<'BODY'
mirror -s
cat mnt/a
kill -STOP "$s"
begin=$SECONDS
timeout 1 cat mnt/b; echo "term $?"
timeout -s KILL 1 ls mnt; echo "kill $?"
cat mnt/b & waits=$!
ls src; cat src/a
[ $((SECONDS - begin)) -lt 20 ] || echo slow
kill -CONT "$s"
wait "$waits"
umount mnt
ended
BODY
) || die "$got"
assert_contains "hung: SIGTERM" "$got" '^term 124'
assert_contains "hung: SIGKILL" "$got" '^kill 137'
assert_contains "others go on" "$got" '^b$'
assert_contains "goes on" "$got" '^other$'
assert_contains "ended well" "$got" '^server 0'
assert_lacks "others wait" "$got" '^slow'
# SIGALRM with a handler interrupts nobody.
got=$(in_view <<'BODY'
mirror -s
kill -STOP "$s"
(sleep 1; kill -CONT "$s") &
python3 - <<'PY'
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
import os
fd = os.open("mnt/a", os.O_RDONLY)
print(os.read(fd, 100))
signal.setitimer(signal.ITIMER_REAL, 0)
PY
umount mnt
ended
BODY
) || die "$got"
assert_eq "a signal with a handler" "$(printf "b'content\\\\n'\nserver 0")" "$got"
begin=$SECONDS
in_view 40 <<'BODY' >/dev/null
mirror -s
kill -STOP "$s"
(sleep 3; kill -KILL "$s") >/dev/null 2>&1 &
BODY
[ $((SECONDS - begin)) -lt 20 ] || die "the view's end waited for a server that hangs"

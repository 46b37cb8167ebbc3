#!/bin/bash
# What is written to a small file gets to the server while it is open, a moment later, again and again.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse.sh"
got=$(in_view <<'BODY'
mirror
cat >"$TMPDIR/t.py" <<'PY'
import os, time
fd = os.open("mnt/log", os.O_WRONLY | os.O_CREAT, 0o644)
def expect(text):
    end = time.monotonic() + 20
    while open("src/log").read() != text and time.monotonic() < end:
        time.sleep(0.05)
    print(repr(open("src/log").read()))
os.write(fd, b"one\n")
expect("one\n")
os.write(fd, b"two\n")
expect("one\ntwo\n")
os.unlink("mnt/log")
os.write(fd, b"three\n")
time.sleep(1.5)
PY
python3 -u "$TMPDIR/t.py"
ls src
umount mnt && ended
BODY
) || die "$got"
assert_eq written "'one\n'
'one\ntwo\n'
server 0" "$got"

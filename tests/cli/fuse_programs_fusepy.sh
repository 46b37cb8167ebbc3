#!/bin/bash
# A server in Python in a view, by python3-fusepy: libfuse 2, in the foreground.
. "$(dirname "$0")/../support/lib.sh"
need python3
. "$support/fuse_programs.sh"
/usr/bin/python3 -c 'import fusepy; fusepy.FUSE' 2>/dev/null || skip "python3-fusepy is not installed"
mkdir src
export S
in_view <<'BODY'
/usr/bin/python3 "$S/tests/programs/fusepy_mirror.py" src mnt &
mounted mnt
works mnt tree -r
cp -r tree mnt/t; shows mnt/t tree
umount mnt || wrong umount
wait $! # as what libfuse 2 ends is its own to say
BODY
diff -r --no-dereference tree src/t || die "what is on the host"

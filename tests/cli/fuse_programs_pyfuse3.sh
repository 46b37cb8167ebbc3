#!/bin/bash
# A server in Python in a view, by python3-pyfuse3: libfuse 3's low-level interface.
. "$(dirname "$0")/../support/lib.sh"
. "$support/fuse_programs.sh"
/usr/bin/python3 -c 'import pyfuse3' 2>/dev/null || skip "python3-pyfuse3 is not installed"
mkdir src
export S
in_view <<'BODY'
/usr/bin/python3 "$S/tests/programs/pyfuse3_mirror.py" src mnt &
mounted mnt
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
umount mnt || wrong umount
wait $! || wrong "its exit status: $?"
BODY
diff -r --no-dereference tree src/t || die "what is on the host"

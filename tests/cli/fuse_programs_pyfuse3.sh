#!/bin/bash
# A server in Python in a view, by python3-pyfuse3 as its documentation has it: libfuse 3 and trio.
. "$(dirname "$0")/../support/lib.sh"
need python3
. "$support/fuse_programs.sh"
example=/usr/share/doc/python3-pyfuse3/examples/passthroughfs.py
[ -f "$example" ] || skip "the examples of python3-pyfuse3 are not installed"
mkdir src && cp -a tree src/t
export example
in_view <<'BODY'
python3 "$example" "$PWD/src" "$PWD/mnt" 2>"$TMPDIR/log" &
mounted mnt
shows mnt/t tree
cp -r tree mnt/n && diff -r --no-dereference tree mnt/n || wrong "cp -r: $(cat "$TMPDIR/log")"
rm -r mnt/n || wrong "rm -r"
umount mnt || wrong umount
wait $! || wrong "the server: $? $(cat "$TMPDIR/log")"
BODY

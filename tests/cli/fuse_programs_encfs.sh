#!/bin/bash
# encfs in a view: encrypted names and contents, libfuse 2.
. "$(dirname "$0")/../support/lib.sh"
need encfs
. "$support/fuse_programs.sh"
mkdir cipher
in_view <<'BODY'
encfs --standard --extpass='echo secret' "$PWD/cipher" "$PWD/mnt" >"$TMPDIR/log" 2>&1 || wrong "encfs: $(cat "$TMPDIR/log")"
mounted mnt
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt encfs
BODY

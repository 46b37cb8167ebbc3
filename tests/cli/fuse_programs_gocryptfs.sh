#!/bin/bash
# gocryptfs in a view: FUSE in Go, without libfuse.
. "$(dirname "$0")/../support/lib.sh"
need gocryptfs
. "$support/fuse_programs.sh"
mkdir cipher
gocryptfs -q -init -scryptn 10 -extpass 'echo secret' cipher >"$T/mk" 2>&1 || die "init: $(cat "$T/mk")"
in_view <<'BODY'
gocryptfs -q -extpass 'echo secret' cipher mnt || wrong "gocryptfs: $?"
mounted mnt
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt gocryptfs
[ "$(find cipher -type f | wc -l)" -gt 5 ] || wrong "nothing is encrypted"
gocryptfs -q -extpass 'echo secret' cipher mnt || wrong "again: $?"
mounted mnt
shows mnt/t tree
unmounts mnt gocryptfs
BODY
# Not by profile: as all servers in Go it opens a file of its own mount, which is in another view.

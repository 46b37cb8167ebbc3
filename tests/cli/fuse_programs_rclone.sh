#!/bin/bash
# rclone in a view: FUSE in Go, another library.
. "$(dirname "$0")/../support/lib.sh"
need rclone
. "$support/fuse_programs.sh"
mkdir src
plain_tree plain
in_view <<'BODY'
rclone mount --config /dev/null --vfs-cache-mode writes --vfs-write-back 0s "$PWD/src" "$PWD/mnt" 2>"$TMPDIR/log" &
mounted mnt
works mnt plain -r
cp -r plain mnt/t || wrong "cp -r"
diff -r plain mnt/t || wrong "another tree"
sleep 2
unmounts mnt rclone
BODY
diff -r plain src/t || die "what is on the host"

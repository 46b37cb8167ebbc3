#!/bin/bash
# rclone in a view: a remote, here a directory, which gets files a while after they were written.
. "$(dirname "$0")/../support/lib.sh"
need rclone
. "$support/fuse_programs.sh"
mkdir src
plain_tree plain
in_view <<'BODY'
rclone mount --config /dev/null --cache-dir "$TMPDIR/cache" --vfs-cache-mode writes --vfs-write-back 1s --daemon "$PWD/src" "$PWD/mnt" || wrong "rclone: $?"
mounted mnt
works mnt plain -r
cp -r plain mnt/t; diff -r plain mnt/t || wrong "another tree"
unmounts mnt rclone
BODY

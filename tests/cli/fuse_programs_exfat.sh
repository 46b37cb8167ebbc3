#!/bin/bash
# exfat-fuse in a view: an exFAT image.
. "$(dirname "$0")/../support/lib.sh"
need mount.exfat-fuse mkfs.exfat
. "$support/fuse_programs.sh"
truncate -s 64M image
mkfs.exfat image >"$T/mk" 2>&1 || die "mkfs.exfat: $(cat "$T/mk")"
plain_tree plain
in_view <<'BODY'
mount.exfat-fuse image mnt || wrong "exfat: $?"
mounted mnt
works mnt plain -r
cp -r plain mnt/t; diff -r plain mnt/t || wrong "another tree"
unmounts mnt exfat
BODY

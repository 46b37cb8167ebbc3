#!/bin/bash
# ntfs-3g in a view: its own copy of libfuse.
. "$(dirname "$0")/../support/lib.sh"
need ntfs-3g mkntfs ntfscat
. "$support/fuse_programs.sh"
truncate -s 64M image
mkntfs -F -Q -q image >"$T/mk" 2>&1 || die "mkntfs: $(cat "$T/mk")"
plain_tree plain
in_view <<'BODY'
ntfs-3g image mnt || wrong "ntfs-3g: $?"
mounted mnt
works mnt plain -r
cp -r plain mnt/t; diff -r plain mnt/t || wrong "another tree"
unmounts mnt ntfs-3g
BODY
assert_eq 'in the image' hello "$(ntfscat image t/a)"
by_profile fuse.ntfs-3g "$W/image" '' <<'BODY'
diff -r plain mnt/t || wrong "another tree"
works mnt plain -r
BODY

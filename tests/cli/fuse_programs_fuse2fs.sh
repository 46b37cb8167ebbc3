#!/bin/bash
# fuse2fs in a view: an ext4 image, which e2fsck finds nothing in afterwards.
. "$(dirname "$0")/../support/lib.sh"
need fuse2fs mkfs.ext4 e2fsck debugfs
. "$support/fuse_programs.sh"
truncate -s 64M image
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" image || die mkfs
in_view <<'BODY'
fuse2fs image mnt || wrong "fuse2fs: $?"
mounted mnt
works mnt tree -r
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt fuse2fs
BODY
e2fsck -fn image >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"
assert_eq 'in the image' hello "$(debugfs -R 'cat t/a' image 2>/dev/null)"
by_profile fuse.fuse2fs "$W/image" '' <<'BODY'
shows mnt/t tree
works mnt tree -r
BODY
e2fsck -fn image >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"

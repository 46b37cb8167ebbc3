#!/bin/bash
# fuse2fs in a view: an ext4 image by libext2fs and libfuse 2, several threads.
. "$(dirname "$0")/../support/lib.sh"
need fuse2fs mkfs.ext4 e2fsck debugfs
. "$support/fuse_programs.sh"
# cp -a sets modes by an ACL, which fuse2fs keeps and doesn't follow, on Linux's FUSE neither: so one
# that needs none.
chmod 600 tree/a && touch -d '2001-02-03 04:05:06' tree/a
# sound WHEN: e2fsck finds nothing in the image.
sound() { e2fsck -fn image >"$T/fsck" 2>&1 || die "e2fsck $1: $(cat "$T/fsck")"; }
truncate -s 64M image
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" image || die mkfs
in_view <<'BODY'
fuse2fs image mnt -o fakeroot || wrong "fuse2fs: $?"
mounted mnt
works mnt tree
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt fuse2fs
BODY
sound 'after a mount inside'
assert_eq 'in the image' hello "$(debugfs -R 'cat t/a' image 2>/dev/null)"
by_profile fuse.fuse2fs "$W/image" fakeroot <<'BODY'
shows mnt/t tree
works mnt tree
rm -r mnt/t
BODY
sound 'after a mount by profile'

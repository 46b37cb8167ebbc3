#!/bin/bash
# fusefat in a view: a FAT image by a server without statfs, which says that there are no blocks.
. "$(dirname "$0")/../support/lib.sh"
need fusefat mkfs.vfat
. "$support/fuse_programs.sh"
truncate -s 64M image
mkfs.vfat -F 32 image >"$T/mk" 2>&1 || die "mkfs.vfat: $(cat "$T/mk")"
plain_tree plain
# fsck.vfat finds lost clusters afterwards, as it does after the same on Linux's FUSE.
# What it can't do at all, on Linux's FUSE neither: append. Names that aren't ASCII are cut.
rm plain/sub/gr*
in_view <<'BODY'
fusefat image mnt -o rw+ >"$TMPDIR/log" 2>&1 || wrong "fusefat: $(cat "$TMPDIR/log")"
mounted mnt
[ "$(stat -f -c %b mnt)" = 0 ] || wrong "it counts blocks: $(stat -f mnt)"
cp -r plain mnt/copy || wrong "cp -r"
diff -r plain mnt/copy || wrong "another tree"
truncate -s 100000 mnt/copy/sub/numbers || wrong truncate
head -c 100000 plain/sub/numbers | cmp - mnt/copy/sub/numbers || wrong "truncated"
mv mnt/copy/sub mnt/copy/moved && mv mnt/copy/a mnt/copy/moved/b || wrong mv
[ "$(cat mnt/copy/moved/b)" = hello ] || wrong "after mv"
rm -r mnt/copy || wrong "rm -r"
[ -z "$(ls -A mnt)" ] || wrong "it is still there: $(ls -AR mnt)"
cp -r plain mnt/t && diff -r plain mnt/t || wrong "another tree"
unmounts mnt fusefat
BODY
by_profile fuse.fusefat "$W/image" rw+ <<'BODY'
diff -r plain mnt/t || wrong "another tree"
cp -r plain mnt/u && diff -r plain mnt/u || wrong "another copy"
rm -r mnt/u || wrong "rm -r"
BODY

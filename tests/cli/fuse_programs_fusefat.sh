#!/bin/bash
# fusefat in a view: a FAT image.
. "$(dirname "$0")/../support/lib.sh"
need fusefat mkfs.fat mcopy
. "$support/fuse_programs.sh"
truncate -s 64M image
mkfs.fat -F 32 image >"$T/mk" 2>&1 || die "mkfs.fat: $(cat "$T/mk")"
mkdir plain plain/sub && echo hello >plain/a && seq 60000 >plain/sub/numbers
in_view <<'BODY'
fusefat -o rw+ image mnt || wrong "fusefat: $?"
mounted mnt
cp -r plain mnt/t || wrong "cp -r"
diff -r plain mnt/t || wrong "another tree"
rm mnt/t/sub/numbers && rmdir mnt/t/sub && [ "$(ls mnt/t)" = a ] || wrong rm
unmounts mnt fusefat
BODY
assert_eq 'in the image' hello "$(mcopy -i image ::t/a -)"

#!/bin/bash
# mount-host shows images to processes of no view: an ext4 image is written, and e2fsck finds
# nothing; an ISO says what was put in it.
LIMIT=180
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
need mkfs.ext4 e2fsck debugfs genisoimage
cd "$W" || exit 1
mkdir -p src/d root
for i in $(seq 40); do echo "file $i $RANDOM" >"src/d/f$i"; done
head -c 2000000 /dev/urandom >src/large
ln -s d/f1 src/link
ln src/large src/hard
genisoimage -quiet -R -o disk.iso src 2>/dev/null || die genisoimage
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
serve "root: $W/root
mounts:
  - {type: ext4, at: /img, source: $W/disk.img}
  - {type: iso9660, at: /cd, source: $W/disk.iso}"
diff -r --no-dereference src mnt/cd || die "the ISO"
out=$(touch mnt/cd/new 2>&1) && die "an ISO was written to"
assert_contains "an ISO" "$out" 'Read-only'
cp -a src mnt/img/copy || die "cp into the image"
diff -r --no-dereference src mnt/img/copy || die "what was copied"
assert_eq "links" 2 "$(stat -c %h mnt/img/copy/hard)"
mv mnt/img/copy/d mnt/img/moved && rm mnt/img/moved/f2 && echo more >>mnt/img/moved/f3
sync mnt/img/moved/f3 || die "fsync"
chmod 600 mnt/img/moved/f4 && touch -d '2001-02-03 04:05:06.5' mnt/img/moved/f4
exec 5<>mnt/img/moved/f5
rm mnt/img/moved/f5
echo unlinked >&5 || die "an unlinked file"
exec 5<&-
"$P/mmap_write" mnt/img/moved/f6 MAPPED || die mmap
dd if=/dev/urandom of=mnt/img/copy/large bs=1k seek=100 count=10 conv=notrunc status=none
cp mnt/img/copy/large large
rm -rf mnt/img/lost+found
unserve
e2fsck -fn disk.img >fsck.out 2>&1 || die "e2fsck: $(cat fsck.out)"
mkdir dumped && debugfs -R 'rdump / dumped' disk.img >debugfs.out 2>&1
cmp large dumped/copy/large || die "what was written over"
assert_eq "appended" "$(cat src/d/f3) more" "$(xargs <dumped/moved/f3)"
assert_contains "mapped" "$(head -c 6 dumped/moved/f6)" '^MAPPED'
[ ! -e dumped/moved/f2 ] && [ ! -e dumped/moved/f5 ] || die "what was removed"
assert_contains "attributes" "$(debugfs -R 'stat /moved/f4' disk.img 2>/dev/null)" 'Mode: +0600'

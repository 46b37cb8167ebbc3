#!/bin/bash
# mount(8) and umount(8) of util-linux mount images in a view, without any privilege: by what they
# find out themselves, by type, a part of a file, from a table; what was written is in the image.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs mount umount findmnt mountpoint losetup df
cd "$W" || exit 1
mkdir d e src
truncate -s 8M img
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" img || die mkfs
(head -c 1048576 /dev/zero && cat img) >disk
cat >fstab <<TABLE
none $W/d tmpfs size=1m,user 0 0
$W/img $W/e ext4 loop,errors=remount-ro,data=ordered,commit=60 0 1
TABLE
cat >"$T/body.sh" <<'BODY'
set -e
fails() { ! "$@" 2>"$TMPDIR/err" || { echo "unexpected: $*"; exit 1; }; cat "$TMPDIR/err" >&2; }
mount img d
findmnt -no FSTYPE,OPTIONS d; findmnt -no SOURCE d | grep -o '^/dev/loop'
mountpoint d; df --output=fstype d | tail -1; grep -c " $PWD/d ext4 rw" /proc/self/mounts
test -b "$(findmnt -no SOURCE d)"
mkdir d/dir && echo text >d/dir/file
(cd d/dir && fails umount ../../d)
umount d; fails mountpoint -q d; ls d
fails umount d
mount -t ext4 img d; cat d/dir/file; umount "$PWD/d"
mount -o loop,ro,offset=1M disk d; ls d; fails touch d/x; findmnt -no OPTIONS d; umount d
mount -o loop,offset=1M,sizelimit=8M disk d; echo part >d/p; umount d
mount img d; mount -o remount,ro d; fails touch d/x; mount -o remount,rw d; echo again >d/y; umount d
mount -a -T fstab; findmnt -no FSTYPE,OPTIONS d; findmnt -no FSTYPE e
cp /bin/true d; fails d/true; cp "$TMPDIR/../img" d/img 2>/dev/null || true
umount d; cat e/y; umount e
mount -t tmpfs -o size=16m,mode=700 none d; cp disk d; mount -o loop,offset=1M d/disk e; cat e/p
fails umount d; umount e; umount d
mount img e; (cd e; umount -l ../e; cat dir/file; echo lazy >lazy); ls e
mount img e; cat e/lazy; umount e
mount --bind src d; mount --move d e; findmnt -no SOURCE e | grep -o '/src$'; umount e
mount --rbind /usr e; test -x e/bin/ls; umount -R e
losetup -f | grep -o /dev/loop
chmod 400 img; mount img e 2>/dev/null; fails touch e/x; umount e; chmod 600 img
mount img d; echo held >d/f; "$P/mount_call" covered d | grep -vc ok$; umount d; echo held >d/f; "$P/mount_call" detached d | grep -vc ok$
BODY
export P
"$VIEWSH" run --allow mount -- bash "$T/body.sh" >"$T/out" 2>"$T/err" || die "in the view: $(cat "$T/out" "$T/err")"
cat >"$T/expected" <<'OUT'
ext4   rw,relatime
/dev/loop
d is a mountpoint
ext4
1
text
lost+found
ro,relatime
tmpfs  rw,nosuid,nodev,noexec,relatime,size=1m
ext4
again
part
text
lazy
/src
/dev/loop
3
3
OUT
diff "$T/expected" "$T/out" || die "another output: $(cat "$T/err")"
assert_contains busy "$(cat "$T/err")" 'target is busy'
assert_lacks errors "$(cat "$T/err")" 'superuser|failed to|subsequent operation'
e2fsck -fn img >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"
assert_eq 'written to the image' text "$(debugfs -R 'cat dir/file' img 2>/dev/null)"
assert_eq 'after umount -l' lazy "$(debugfs -R 'cat lazy' img 2>/dev/null)"
assert_eq 'not on the host' '' "$(find d e -mindepth 1)"

# What is still mounted is written back with the view's end.
"$VIEWSH" run --allow mount -- bash -c 'mount img d && echo end >d/end' || die "mounted at the end"
assert_eq 'at the end' end "$(debugfs -R 'cat end' img 2>/dev/null)"

if command -v genisoimage >/dev/null; then
  echo disc >src/file
  genisoimage -quiet -R -o x.iso src 2>/dev/null
  out=$("$VIEWSH" run --cow / --allow mount -- bash -c 'mount -t iso9660 x.iso d && cat d/file && mount x.iso e && ls e; umount d e') || die "an iso: $out"
  assert_eq iso "$(printf 'disc\nfile')" "$out"
fi

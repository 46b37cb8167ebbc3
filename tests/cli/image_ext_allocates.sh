#!/bin/bash
# Space of a file in an ext4 image that was allocated by fallocate(2) is the file's, and nobody else's, once that
# was synced: what is written there later has room in a full image.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs python3
cd "$W" || exit 1
mkdir mnt
fallocate -l 4096 probe 2>/dev/null || skip "fallocate(2) isn't known here"
mkfs.ext4 -q -F -m 0 -E root_owner="$(id -u):$(id -g)" disk.img 16M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
cat >"$T/work.py" <<'P'
import errno, os
def room(): st = os.statvfs("mnt"); return st.f_bavail * st.f_bsize
MIB = 1 << 20
before = room()
x = os.open("mnt/x", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(x, 0, 8 * MIB)
os.fsync(x)
assert before - room() >= 8 * MIB, (before, room())
y = os.open("mnt/y", os.O_RDWR | os.O_CREAT)
try:
    os.posix_fallocate(y, 0, 8 * MIB); os.fsync(y)
    print("allocated twice")
except OSError as e:
    assert e.errno == errno.ENOSPC, e
os.ftruncate(y, 0)
z = os.open("mnt/z", os.O_RDWR | os.O_CREAT)
try:
    while True: os.write(z, b"z" * 65536)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
os.pwrite(x, b"x" * MIB, 4 * MIB)
os.fsync(x)
print(os.stat("mnt/x").st_size)
P
out=$("$VIEWSH" run --mount "ext4:$W/disk.img:$W/mnt" -- python3 "$T/work.py" 2>&1) || die "in the view: $out"
assert_eq 'in the view' 8388608 "$out"
e2fsck -fn disk.img >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"
debugfs -R 'dump x x.out' disk.img 2>/dev/null
head -c 4M /dev/zero >want && head -c 1M /dev/zero | tr '\0' x >>want && head -c 3M /dev/zero >>want
cmp want x.out || die "the content"

# What is written over what is there needs no room: in a full image, in a full tmpfs.
cat >"$T/over.py" <<'P'
import errno, os, sys
fd = os.open(sys.argv[1] + "/data", os.O_RDWR | os.O_CREAT)
os.write(fd, b"a" * 65536)
z = os.open(sys.argv[1] + "/fill", os.O_RDWR | os.O_CREAT)
try:
    while True: os.write(z, b"z" * 65536)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
os.pwrite(fd, b"b" * 4096, 8192)
os.lseek(fd, 0, 0); os.write(fd, b"c" * 4096); os.pwritev(fd, [b"d" * 100, b"d" * 3996], 4096)
try:
    os.pwrite(fd, b"e" * (1 << 20), 65536)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
assert os.pread(fd, 12289, 0) == b"c" * 4096 + b"d" * 4096 + b"b" * 4096 + b"a"
P
mkfs.ext4 -q -F -m 0 -E root_owner="$(id -u):$(id -g)" full.img 4M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
out=$("$VIEWSH" run --mount "ext4:$W/full.img:$W/mnt" -- python3 "$T/over.py" "$W/mnt" 2>&1) || die "over: $out"
e2fsck -fn full.img >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"
assert_eq 'written over' "$(printf 'c%.0s' {1..10})" "$(debugfs -R 'cat data' full.img 2>/dev/null | head -c 10)"
out=$("$VIEWSH" run --tmpfs "$W/mnt:size=1M" -- python3 "$T/over.py" "$W/mnt" 2>&1) || die "over, in a tmpfs: $out"

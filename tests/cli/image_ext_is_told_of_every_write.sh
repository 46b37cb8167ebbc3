#!/bin/bash
# Whatever changes a file of an ext4 image without a write(2), or comes by a way on which viewsh doesn't look at
# each write(2), is in the image: after an fsync(2) though viewsh is killed, and when the view ends at once.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs python3
cd "$W" || exit 1
cat >work.py <<'PY'
import fcntl, os, struct, sys, time
MIB = 1 << 20
killed = sys.argv[1] == 'killed'
fds = []

def long(name):
    fd = os.open('mnt/' + name, os.O_RDWR)
    fds.append(fd)
    return fd

fd = long('emptied')
os.ftruncate(fd, 0); os.ftruncate(fd, 2 * MIB)
fd = long('shrunk')
os.ftruncate(fd, 4096); os.pwrite(fd, b'end', 2 * MIB - 3)
fd = long('punched')
# FS_IOC_UNRESVSP64, struct space_resv
try:
    fcntl.ioctl(fd, 0x4030582b, struct.pack('hhqqiI4i', 0, 0, MIB, 4096, 0, 0, 0, 0, 0, 0))
except OSError as error:
    print('skipped', error.strerror)
fd = long('cut')
os.lseek(fd, MIB, os.SEEK_SET)
again = os.open('/proc/self/fd/%d' % fd, os.O_WRONLY | os.O_TRUNC)
os.write(fd, b'far')
fd = long('appended')
os.close(os.open('mnt/appended', os.O_WRONLY | os.O_APPEND))
os.pwrite(fd, b'x', 5)
if killed:
    for fd in fds:
        os.fsync(fd)
    open('ready', 'w').close()
    time.sleep(100)
PY
cat >want.py <<'PY'
import sys
MIB = 1 << 20
a = b'a' * (2 * MIB)
want = {
    'emptied': bytes(2 * MIB),
    'shrunk': a[:4096] + bytes(2 * MIB - 4096 - 3) + b'end',
    'punched': a[:MIB] + bytes(4096) + a[MIB + 4096:],
    'cut': bytes(MIB) + b'far',
    'appended': a[:5] + b'x' + a[6:],
}
for name, content in want.items():
    with open(name, 'rb') as f:
        got = f.read()
    if got != content:
        at = next((i for i in range(min(len(got), len(content))) if got[i] != content[i]), min(len(got), len(content)))
        sys.exit('%s: %d bytes instead of %d, other from %d on' % (name, len(got), len(content), at))
PY
fill() {
  rm -f disk.img && rm -rf from && mkdir -p mnt from
  for name in emptied shrunk punched cut appended; do
    head -c 2097152 /dev/zero | tr '\0' a >from/$name
  done
  mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" -d from disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
}
# look WHEN: what is in the image now.
look() {
  e2fsck -fy disk.img >/dev/null 2>&1
  rm -rf got && mkdir got
  for name in from/*; do
    debugfs -R "dump ${name#from/} got/${name#from/}" disk.img 2>/dev/null
  done
  (cd got && python3 ../want.py) >"$T/why" 2>&1 || die "$1: $(cat "$T/why")"
}
fill
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- python3 work.py ended >out || die "the view: $(cat out)"
if grep -q skipped out; then skip "$(cat out)"; fi
look "at the end"
fill
rm -f ready
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- python3 work.py killed &
view=$!
for ((i = 0; i < 600; ++i)); do [ -e ready ] && break; sleep 0.1; done
[ -e ready ] || die "it doesn't get there"
kill -KILL $view
wait $view 2>/dev/null
look "killed"

# A bind shows a part of an image that is covered by now.
fill
mkdir part
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" --bind "$W/mnt:$W/part" --tmpfs "$W/mnt" -- \
  sh -c 'echo hello >part/new; python3 -c "import os; fd=os.open(\"part/emptied\", os.O_RDWR); os.pwrite(fd, b\"b\", 99)"; ls mnt' ||
  die "with a bind"
assert_eq "by a bind" hello "$(debugfs -R 'cat new' disk.img 2>/dev/null)"
assert_eq "a part by a bind" ab "$(debugfs -R 'cat emptied' disk.img 2>/dev/null | head -c 100 | tail -c 2)"
# A mount may come over it while it is written.
fill
"$VIEWSH" run --allow mount --mount "ext4:disk.img:$W/mnt" -- bash -c '
  exec 3<>mnt/emptied 4>mnt/made; mount -t tmpfs none mnt; echo first >&3; echo second >&4' || die "covered"
assert_eq "what was covered" "first second" \
  "$(debugfs -R 'cat emptied' disk.img 2>/dev/null | head -1) $(debugfs -R 'cat made' disk.img 2>/dev/null)"
e2fsck -fn disk.img >/dev/null 2>&1 || die "e2fsck"

#!/bin/bash
# fsync(2), sync(1) and sync -f in an image whose file is in another image reach the disk, and what
# can't is told there: as with the kernel's loop device, whose flush is the file's fsync(2).
. "$(dirname "$0")/../support/lib.sh"
needs_view
need mkfs.ext4 debugfs e2fsck python3 mountpoint
PATH=$PATH:/sbin:/usr/sbin
cd "$W" || exit 1
mkdir src m n
make() { # IMAGE SIZE [OPTION...]
  rm -f "$1"
  truncate -s "$2" "$1"
  mkfs.ext4 -qF -E root_owner="$(id -u):$(id -g)" "${@:3}" "$1" || die mkfs
}
# The content of the file f of i.img of o.img, both after what a kernel would do at the next mount.
content() {
  e2fsck -fy o.img >e2fsck.out 2>&1 || [ $? = 1 ] || die "o.img: $(cat e2fsck.out)"
  debugfs -R 'dump i.img i2' o.img >/dev/null 2>&1
  e2fsck -fy i2 >e2fsck.out 2>&1 || [ $? = 1 ] || die "i.img: $(cat e2fsck.out)"
  debugfs -R 'cat f' i2 2>/dev/null
}
cat >fsync.py <<'PY'
import os, sys
f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
try:
    os.write(f, b'x' * int(sys.argv[2]))
    os.fsync(f)
    print('fsync')
except OSError as e:
    print(e.strerror)
PY
# killed WHAT COMMAND: the command in a view that is killed right after it.
killed() {
  make src/i.img 16M
  make o.img 48M -d src
  rm -f ready
  "$VIEWSH" run --mount ext4:o.img:"$W/m" --mount ext4:"$W/m/i.img:$W/n" -- \
    bash -c "$2 && touch ready; exec sleep 100" >/dev/null &
  local pid=$!
  wait_for 60 test -e ready
  kill -9 "$pid"
  wait "$pid" 2>/dev/null
  assert_eq "$1" xx "$(content)"
}
killed fsync 'python3 fsync.py n/f 2'
killed sync 'printf xx >n/f; sync'
killed 'sync -f' 'printf xx >n/f; sync -f n'

# No room in the outer one: that is told by fsync(2) and umount(2), and the mount stays until there
# is some.
make src/i.img 24M -m0
truncate -s 20M src/ballast && shred -n1 src/ballast
make o.img 40M -m0 -d src
out=$("$VIEWSH" run --allow mount -- bash -c '
mount o.img m && mount m/i.img n
python3 fsync.py n/f 15000000
python3 fsync.py n/f 15000000
umount n 2>/dev/null || mountpoint -q n && echo stays
rm m/ballast
umount n && umount m && echo gone' 2>&1) || die "status $?: $out"
assert_eq 'no room' "$(printf '%s\n' 'Input/output error' 'Input/output error' stays gone)" "$out"
assert_eq 'then there is' 15000000 "$(content | wc -c)"

# One that the user may umount ends after what lies in it, which is not his to umount.
make src/i.img 16M
rm -f src/ballast
make o.img 48M -d src
cat >p.yaml <<YAML
viewsh: 1
mounts:
  - {type: ext4, at: $W/m, source: $W/o.img, options: [user]}
  - {type: ext4, at: $W/n, source: $W/m/i.img}
YAML
"$VIEWSH" run -p ./p.yaml -- bash -c 'printf xx >n/f' || die "by profile: $?"
assert_eq 'by profile' xx "$(content)"

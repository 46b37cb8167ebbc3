#!/bin/bash
# umount(2) that can't write everything back leaves the mount as it is, so that what is in it can be
# saved; with MNT_DETACH the mount goes at once, and what is lost is told and counts at the end.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need mkfs.ext4 debugfs python3
PATH=$PATH:/sbin:/usr/sbin
cd "$W" || exit 1
mkdir m
make() {
  rm -f s.img
  truncate -s 16M s.img
  mkfs.ext4 -qm0 -E root_owner="$(id -u):$(id -g)" s.img || die mkfs
}
# Written by a mapping, of which nobody can say before that there is no room for it.
cat >fill.py <<'PY'
import mmap, os, sys
f = os.open('m/map', os.O_RDWR | os.O_CREAT, 0o644)
os.ftruncate(f, 20 << 20)
m = mmap.mmap(f, 20 << 20)
for i in range(0, 20 << 20, 4096):
    m[i] = 1
if len(sys.argv) > 1:
    open('ready', 'w').close()
    sys.stdin.read()
PY
umounts() { # umount2(2) alone: FLAGS
  cat <<PY
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(0 if libc.umount2(b'm', $1) == 0 else os.strerror(ctypes.get_errno()))
PY
}
umounts 0 >umount.py
umounts 2 >detach.py

make
out=$("$VIEWSH" run --allow mount -- bash -c '
mount s.img m && python3 fill.py
python3 umount.py
mountpoint -q m && echo mounted
grep -c " $PWD/m ext4" /proc/mounts
[ "$(stat -c %s m/map)" = $((20 << 20)) ] && echo there
rm m/map
echo x >m/later && cat m/later
python3 umount.py
mountpoint -q m || echo gone' 2>&1) || die "status $?: $out"
assert_eq 'what fails leaves it' "$(printf '%s\n' 'No space left on device' mounted 1 there x 0 gone)" "$out"
assert_eq 'written back then' x "$(debugfs -R 'cat later' s.img 2>/dev/null)"
assert_eq 'nothing went elsewhere' '' "$(ls m)"

# The mount goes, and what was in it is lost, which is told.
make
status=0
out=$("$VIEWSH" run --allow mount -- bash -c '
mount s.img m && python3 fill.py
python3 detach.py
mountpoint -q m || echo gone' 2>&1) || status=$?
assert_eq 'detached' "$(printf '%s\n' 0 gone)" "$(grep -v ^viewsh: <<<"$out")"
assert_contains 'what is lost' "$out" "^viewsh: ext4 at $W/m: No space left on device"
assert_eq 'counts' 125 "$status"

# The same, with somebody in it.
make
status=0
mkfifo hold
out=$("$VIEWSH" run --allow mount -- bash -c '
mount s.img m
python3 fill.py hold <hold & exec 5>hold
until [ -e ready ]; do sleep 0.05; done
python3 detach.py
exec 5>&-
wait
echo ended' 2>&1) || status=$?
assert_eq 'used' "$(printf '%s\n' 0 ended)" "$(grep -v ^viewsh: <<<"$out")"
assert_eq 'told once' "viewsh: ext4 at $W/m: No space left on device" "$(grep ^viewsh: <<<"$out")"
assert_eq 'counts, too' 125 "$status"

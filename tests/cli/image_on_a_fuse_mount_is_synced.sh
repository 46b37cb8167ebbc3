#!/bin/bash
# fsync(2), sync(1) and umount(2) of an image whose file is on a FUSE mount of the view bring it to
# the server, or say that they can't; what nobody syncs gets there after some seconds.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need mkfs.ext4 debugfs e2fsck bindfs mountpoint python3
. "$support/fuse_programs.sh"
mkdir src m n
make() {
  rm -f src/d.img
  truncate -s "$1" src/d.img
  mkfs.ext4 -qF -E root_owner="$(id -u):$(id -g)" "${@:2}" src/d.img || die mkfs
}
# The content of f after what a kernel would do at the next mount.
content() {
  cp --sparse=always src/d.img copy.img
  e2fsck -fy copy.img >e2fsck.out 2>&1 || [ $? = 1 ] || die "$(cat e2fsck.out)"
  debugfs -R 'cat f' copy.img 2>/dev/null
}
cat >fsync.py <<'PY'
import os, sys
f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
try:
    os.write(f, b'xx')
    os.fsync(f)
    print('fsync')
except OSError as e:
    print(e.strerror)
PY
start='bindfs -f --no-allow-other src m & s=$!; until mountpoint -q m; do sleep 0.05; done; mount m/d.img n'
run=("$VIEWSH" run --bind "$T/passwd:/etc/passwd" --allow mount -- bash -c)

# killed WHAT COMMAND SIZE [OPTION...]: the command in a view that is killed right after it; the image.
killed() {
  make "${@:3}"
  rm -f ready
  "${run[@]}" "$start && $2 && touch ready; exec sleep 100" >/dev/null 2>&1 &
  local pid=$!
  wait_for 60 test -e ready
  kill -9 "$pid"
  wait "$pid" 2>/dev/null
  assert_eq "$1" xx "$(content)"
}
killed fsync 'python3 fsync.py n/f' 32M
killed 'fsync in a small one' 'python3 fsync.py n/f' 1M -O ^has_journal
killed sync 'printf xx >n/f; sync' 32M
killed 'sync -f' 'printf xx >n/f; sync -f n' 32M

# After some seconds.
make 32M
"${run[@]}" "$start && printf xx >n/f; exec sleep 100" >/dev/null 2>&1 &
pid=$!
there() { [ "$(content)" = xx ]; }
wait_for 60 there
kill -9 "$pid"
wait "$pid" 2>/dev/null

# Whoever umounts it finds everything with the server, whatever becomes of that.
for _ in 1 2 3; do
  make 32M
  out=$("${run[@]}" "$start && seq 20000 >n/f && umount n && cp --sparse=always src/d.img now.img && kill -9 \$s && umount m" 2>&1) ||
    die "umount: $? $out"
  assert_eq 'in order' '' "$(e2fsck -fn now.img 2>&1 | grep -vE '^(e2fsck|Pass|now.img: [0-9]+/)')"
  assert_eq 'after umount' "$(seq 20000 | md5sum)" "$(debugfs -R 'cat f' now.img 2>/dev/null | md5sum)"
done

# Its server is gone: nothing can be written any more, and what was is lost.
make 32M
status=0
out=$("${run[@]}" "$start || exit 3
"'kill -9 $s
python3 fsync.py n/f
python3 fsync.py n/f
umount n 2>/dev/null || mountpoint -q n && echo stays
umount -l n && echo away
umount m && echo gone' 2>&1) || status=$?
assert_eq 'the server is gone' "$(printf '%s\n' 'Input/output error' 'Input/output error' stays away gone)" "$(grep -v -e ^viewsh: -e Killed <<<"$out")"
assert_contains 'it is told' "$out" "^viewsh: ext4 at $W/n: Input/output error"
assert_eq 'and counts' 125 "$status"

#!/bin/bash
# A server whose mount goes hears it where it reads, ENODEV, as from the kernel: it ends well. By
# umount(8) and by fusermount3, with one thread, several, and a descriptor for each.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
echo content >"$W/src/a"
got=$(in_view <<'BODY'
for how in "-s" "" "-o clone_fd"; do
  mirror $how
  cat mnt/a
  umount mnt
  ended
  ls mnt
done
BODY
) || die "$got"
assert_eq servers "$(printf 'content\nserver 0\n%.0s' 1 2 3)" "$got"
if command -v fusermount3 >/dev/null; then
  got=$(in_view <<'BODY'
mirror
cat mnt/a
fusermount3 -u mnt
ended
BODY
  ) || die "$got"
  assert_eq fusermount3 "$(printf 'content\nserver 0')" "$got"
fi
if command -v bindfs >/dev/null; then
  got=$(in_view <<'BODY'
bindfs -f src mnt & s=$!
mounted
cat mnt/a
umount mnt
ended
BODY
  ) || die "$got"
  assert_eq bindfs "$(printf 'content\nserver 0')" "$got"
fi

#!/bin/bash
# Servers that hand data over by splice(2) and vmsplice(2) serve as well as those that write.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
head -c 3000000 /dev/urandom >"$W/src/big"
export MIRROR_SPLICE=1 MIRROR_BUFFERS=1
got=$(in_view <<'BODY'
for how in -s ""; do
  mirror $how
  cmp mnt/big src/big && cp mnt/big mnt/copy && cmp src/copy src/big && echo same
  for i in $(seq 100); do : >"mnt/file_with_a_name_$i"; done
  ls mnt | wc -l
  umount mnt
  ended
  rm src/file* src/copy
done
BODY
) || die "$got"
assert_eq splice "$(printf 'same\n102\nserver 0\n%.0s' 1 2)" "$got"

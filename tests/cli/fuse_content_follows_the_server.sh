#!/bin/bash
# Contents that change behind a server's back are read anew when Linux reads them anew: at the next
# open, and by who has the file open when its size or time is another; of direct_io files each time.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse.sh"
got=$(in_view <<'BODY'
echo one >src/a
mirror
cat mnt/a
echo two >src/a; cat mnt/a
python3 - <<'PY'
import os, time
f = open("mnt/a"); print(f.read(), end="")
with open("src/a", "a") as g: g.write("three\n")
time.sleep(1.2)
print(os.fstat(f.fileno()).st_size, f.read(), end="")
PY
mv src/a src/b; echo other >src/a; sleep 1.2; cat mnt/a mnt/b
rm src/b; sleep 1.2; cat mnt/b
umount mnt
ended
BODY
) || die "$got"
assert_eq "buffered" "one
two
two
10 three
other
two
three
cat: mnt/b: No such file or directory
server 0" "$got"
got=$(MIRROR_DIRECT_IO=1 in_view <<'BODY'
mirror -o kernel_cache
echo direct >src/d
cat mnt/d; echo again. >src/d; cat mnt/d
head -c 20 mnt/d
umount mnt
ended
BODY
) || die "$got"
assert_eq "direct_io" "$(printf 'direct\nagain.\nagain.\nserver 0')" "$got"

#!/bin/bash
# A file in an ext4 image that is replaced, by a rename over it or by being cut and written anew, is the old or
# the new one when viewsh is killed after somebody's fsync(2) of something else: never empty.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs python3
cd "$W" || exit 1
mkdir mnt
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
cat >"$T/work.py" <<'P'
import os, sys, time
os.chdir(sys.argv[1])
for i in range(10):
    for kind in ("renamed", "cut", "opened", "held"):
        with open("%s%d" % (kind, i), "w") as f: f.write("old\n")
os.sync()
def synced():
    fd = os.open("other", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x"); os.fsync(fd); os.close(fd)
for i in range(10):
    with open("new", "w") as f: f.write("new\n")
    os.rename("new", "renamed%d" % i)
    os.truncate("cut%d" % i, 0)
    fd = os.open("cut%d" % i, os.O_WRONLY)
    os.write(fd, b"new\n"); os.close(fd)
    with open("opened%d" % i, "w") as f: f.write("new\n")
    with open("held%d" % i, "r+") as f:
        os.ftruncate(f.fileno(), 0); f.write("new\n")
    if i % 2 == 0: synced()
with open("made", "w") as f: f.write("new\n")
fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY); os.fsync(fd)
open(sys.argv[2], "w").close()
time.sleep(60)
P
"$VIEWSH" run --mount "ext4:$W/disk.img:$W/mnt" -- python3 "$T/work.py" "$W/mnt" "$W/ready" &
view=$!
wait_for 60 test -e ready
kill -KILL "$view"
wait "$view" 2>/dev/null
e2fsck -fy disk.img >"$T/fsck" 2>&1
[ $? -le 1 ] || die "e2fsck: $(cat "$T/fsck")"
for file in made {renamed,cut,opened,held}{0..9}; do
  got=$(debugfs -R "cat $file" disk.img 2>/dev/null)
  [[ $got == new || ($got == old && $file != made) ]] || die "$file: '$got'"
done

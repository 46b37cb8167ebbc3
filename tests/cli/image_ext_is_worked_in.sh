#!/bin/bash
# An ext4 image of 2 GB that is mounted in a view by mount(8) and written: an unpacked tree of 8,000 files, a
# project built with make -j2, git with gc, a program that runs, links, sparse files; after umount(8) e2fsck finds
# nothing, and debugfs, later views and, where root is at hand, a loop mount see the same tree as natively.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs mount umount make gcc git tar
cd "$W" || exit 1
mkdir mnt src
for d in $(seq 40); do
  mkdir "src/d$d"
  for f in $(seq 200); do echo "$d $f $RANDOM" >"src/d$d/f$f"; done
done
cat >src/main.c <<'C'
#include <stdio.h>
int one(void);
int main(void) { printf("built %d\n", one()); return 0; }
C
echo 'int one(void) { return 1; }' >src/one.c
printf 'prog: main.o one.o\n\tcc -o $@ $^\n%%.o: %%.c\n\tcc -c $<\n' >src/Makefile
tar -cf src.tar -C src .
cat >work.sh <<'BODY'
set -e
mkdir tree && tar -xf "$1" -C tree
cd tree
make -s -j2
[ "$(./prog)" = 'built 1' ]
git init -q . && git config gc.auto 0 && git add -A && git commit -q -m one
echo change >>d1/f1 && git commit -q -a -m two
git gc -q && git fsck --full 2>/dev/null && git checkout -q HEAD~1 && [ -z "$(git status --porcelain)" ]
git log --oneline | wc -l >log
mv d2 renamed && ln d3/f1 hard && ln -s d3/f1 soft && chmod 750 d4 && rm -r d5
truncate -s 3M sparse && echo end >>sparse
mkfifo fifo
touch -d '2001-02-03 04:05:06.123456789' d6/f1
BODY
list() { (cd "$1" && find . -path ./tree/.git -prune -o -path ./lost+found -prune -o -type f -printf '%p %y %m %n %s\n' -o -printf '%p %y %m %l\n' | sort); }
mkdir native && (cd native && bash ../work.sh "$W/src.tar") >native.out 2>&1 || die "natively: $(cat native.out)"
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 2G >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
"$VIEWSH" run --allow mount -- bash -c 'mount disk.img mnt && (cd mnt && bash ../work.sh "$1") && umount mnt && [ -z "$(ls mnt)" ]' \
  mounts "$W/src.tar" >view.out 2>&1 || die "in the image: $(cat view.out)"
clean() { e2fsck -fn disk.img >fsck.out 2>&1 || die "$1: $(cat fsck.out)"; }
clean 'after the first view'
list native >expected
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" -- bash -c "$(declare -f list); list mnt" | grep -v '^\. ' >got
grep -v '^\. ' expected | diff - got || die 'a later view sees another tree'
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" -- bash -c '
  diff -r --no-dereference --exclude=.git --exclude=lost+found --exclude=fifo --exclude=prog --exclude=*.o native mnt &&
  mnt/tree/prog && git -c safe.directory="*" -C mnt/tree fsck --full && [ "$(stat -c %Y.%y mnt/tree/d6/f1)" = "$(stat -c %Y.%y native/tree/d6/f1)" ]' \
  >later.out 2>&1 || die "a later view: $(cat later.out)"
mkdir dumped && debugfs -R "rdump /tree dumped" disk.img >debugfs.out 2>&1
diff -r --no-dereference --exclude=.git --exclude=fifo --exclude=prog --exclude='*.o' native/tree dumped/tree ||
  die 'debugfs sees another tree'
if sudo -n true 2>/dev/null && mkdir looped && sudo -n mount -o loop,ro disk.img looped 2>/dev/null; then
  looped=$(list looped | grep -v '^\. ' | diff expected - 2>&1 | grep -v '^[<0-9].*\. d\|^1')
  sudo -n umount looped
  assert_eq 'a loop mount' '' "$looped"
else
  echo 'SKIP: the loop mount: no root at hand'
fi

# What fsync brought to disk is there after a kill -9 of the engine; the rest may be.
cat >killed.sh <<'BODY'
echo kept >mnt/synced && sync mnt/synced mnt
for i in $(seq 100000); do echo "$i" >"mnt/n$i"; [ "$i" != 300 ] || touch at-work; done
BODY
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash killed.sh 2>/dev/null &
engine=$!
for _ in $(seq 600); do [ -e at-work ] && break; sleep 0.1; done
[ -e at-work ] || die 'the view did not get to work'
kill -KILL "$engine"
wait "$engine" 2>/dev/null
e2fsck -fy disk.img >fsck.out 2>&1
[ $? -le 1 ] || die "after a kill: $(cat fsck.out)"
clean 'after the repair'
assert_eq 'what was synced' kept "$(debugfs -R 'cat /synced' disk.img 2>/dev/null)"

# So is what sync(1) brought there.
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash -c 'echo all >mnt/all && sync && kill -KILL $PPID; sleep 60' 2>/dev/null
e2fsck -fy disk.img >fsck.out 2>&1
assert_eq 'what sync(1) brought to disk' all "$(debugfs -R 'cat /all' disk.img 2>/dev/null)"

# The image's room is the limit, and a write that fits is there.
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" small.img 16M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
out=$("$VIEWSH" run --mount "ext4:small.img:$W/mnt" -- bash -c 'head -c 4M /dev/zero | tr "\0" x >mnt/fits; head -c 40M /dev/zero >mnt/large; rm mnt/large; head -c 2M /dev/zero >mnt/again' 2>&1)
assert_contains 'a full image' "$out" 'No space left on device'
e2fsck -fn small.img >fsck.out 2>&1 || die "a full image: $(cat fsck.out)"
sizes=$("$VIEWSH" run --mount "ext4:small.img:$W/mnt:ro" -- stat -c '%n %s' mnt/fits mnt/again)
assert_eq 'what fitted' $'mnt/fits 4194304\nmnt/again 2097152' "$sizes"

# A file that may only be appended to, one that can't be changed, and what a default ACL says.
mkdir flags && echo first >flags/log && echo same >flags/fixed
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" -d flags flags.img 16M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
printf 'sif /log flags 0x80020\nsif /fixed flags 0x80010\n' | debugfs -w flags.img >/dev/null 2>&1
"$VIEWSH" run --mount "ext4:flags.img:$W/mnt" -- bash -c '
  cd mnt && fails() { ! "$@" 2>/dev/null || { echo "done: $*"; exit 1; }; }
  echo second >>log && sync log && echo third >>log && touch log || exit 1
  fails bash -c "echo x >log"; fails truncate -s 0 log; fails rm log; fails chmod 600 log; fails touch -d 2001-01-01 log
  fails bash -c "echo x >>fixed"; fails chmod 600 fixed; fails mv fixed other; fails touch fixed; fails truncate -s 0 fixed
  command -v setfacl >/dev/null || exit 0
  mkdir dir && setfacl -d -m u::rwx,g::rwx,o::r dir && umask 077 && touch dir/new && mkdir dir/sub && stat -c %a dir/new dir/sub >../modes' \
  >flags.out 2>&1 || die "flags: $(cat flags.out)"
e2fsck -fn flags.img >fsck.out 2>&1 || die "flags: $(cat fsck.out)"
assert_eq 'appended' $'first\nsecond\nthird' "$(debugfs -R 'cat /log' flags.img 2>/dev/null)"
assert_eq 'immutable' same "$(debugfs -R 'cat /fixed' flags.img 2>/dev/null)"
[ ! -e modes ] || assert_eq 'modes by a default ACL' $'664\n774' "$(cat modes)"

# Owned by root, as mkfs makes it: refused, but with fakeroot.
mkfs.ext4 -q -F root.img 16M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
out=$("$VIEWSH" run --mount "ext4:root.img:$W/mnt" -- touch mnt/new 2>&1) && die 'a directory of root was written to'
assert_contains 'root owns it' "$out" 'Permission denied'
"$VIEWSH" run --mount "ext4:root.img:$W/mnt:fakeroot" -- bash -c 'echo x >mnt/new && mkdir mnt/d && mknod mnt/null c 1 3' || die fakeroot
e2fsck -fn root.img >fsck.out 2>&1 || die "fakeroot: $(cat fsck.out)"
assert_contains 'whose it is' "$(debugfs -R 'stat /new' root.img 2>/dev/null)" 'User: +0 '
assert_contains 'a device' "$(debugfs -R 'stat /null' root.img 2>/dev/null)" 'Type: character special'
# What can't be written is mounted for reading, and that is told.
chmod 444 small.img
out=$("$VIEWSH" run --mount "ext4:small.img:$W/mnt" -- bash -c 'echo x >mnt/new' 2>&1) && die 'a read-only file was written to'
assert_contains 'read-only' "$out" 'small.img: mounted for reading only: Permission denied'
assert_contains 'read-only' "$out" 'Read-only file system'
# Two at once are refused.
chmod 644 small.img
"$VIEWSH" run --mount "ext4:small.img:$W/mnt" -- bash -c 'touch at-work-2; read -r <>go' 2>/dev/null &
mkfifo go 2>/dev/null
for _ in $(seq 100); do [ -e at-work-2 ] && break; sleep 0.1; done
out=$("$VIEWSH" run --mount "ext4:small.img:$W/mnt" -- true 2>&1) && die 'an image was mounted twice'
assert_contains 'in use' "$out" 'in use by another one'
echo >go
wait

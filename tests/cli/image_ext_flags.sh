#!/bin/bash
# chattr(1) and lsattr(1) in an ext4 image: what they set is there, counts, is what debugfs and a later view see, and is
# refused as ext4 refuses it. A copy-on-write view over the image leaves the flags alone.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs chattr lsattr
cd "$W" || exit 1
mkdir mnt
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
clean() { e2fsck -fn disk.img >fsck.out 2>&1 || die "$1: $(cat fsck.out)"; }

cat >owner.sh <<'BODY'
cd mnt && echo text >file && mkdir dir && echo more >dir/below || exit 1
chattr +dA file && chattr -R +S dir
lsattr file; lsattr -d dir; lsattr -R . 2>/dev/null | grep below
chattr +i file 2>&1; chattr +a dir 2>&1
chattr +T file 2>&1
chattr -d file && lsattr file
echo still >>file && cat file
BODY
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash owner.sh 2>&1)
cat >expected <<'OUT'
------dA------e------- file
--S-----------e------- dir
--S-----------e------- ./dir/below
chattr: Operation not permitted while setting flags on file
chattr: Operation not permitted while setting flags on dir
chattr: Operation not supported while setting flags on file
-------A------e------- file
text
still
OUT
diff expected - <<<"$out" >diff.out || die "the owner: $(cat diff.out)"
clean 'after the owner'
assert_contains 'debugfs' "$(debugfs -R 'stat /file' disk.img 2>/dev/null)" 'Flags: 0x80080'

# How a file is mapped: what ext4 can change, it changes; what it says is from Linux 6.18.
cat >map.sh <<'BODY'
cd mnt && mkdir maps && cd maps || exit 1
try() {
  chattr "$1" "$2" 2>err && echo "$* $(lsattr -d "$2" | cut -d' ' -f1)" || echo "$*: $(sed 's/.*chattr: //;s/ while.*//' err)"
}
echo small >small; head -c 60000 /dev/zero | tr '\0' a >big; truncate -s 1M hole; mkdir dir
for i in 0 2 4 6; do echo $i | dd of=frag bs=4096 seek=$i conv=notrunc status=none; done
sync
for f in small dir hole big frag; do try -e $f; done
echo more >>small; cat small; touch dir/below; ls dir
for f in small dir hole big; do try +e $f; done
try +x small; try +j small; try +F dir; try +F small; try +x dir; touch dir/inherits; lsattr dir/inherits | cut -d' ' -f1
cat small
BODY
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash map.sh 2>&1)
cat >expected <<'OUT'
-e small ----------------------
-e dir ----------------------
-e hole ----------------------
-e big: Operation not supported
-e frag: Operation not supported
small
more
below
+e small --------------e-------
+e dir --------------e-------
+e hole --------------e-------
+e big --------------e-------
+x small --------------e-x-----
+j small: Operation not permitted
+F dir: Operation not supported
+F small: Operation not supported
+x dir --------------e-x-----
--------------e-x-----
small
more
OUT
diff expected - <<<"$out" >diff.out || die "maps: $(cat diff.out)"
clean 'after maps'
# Root's is how data is journaled: where there is a journal.
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- bash -c 'cd mnt/maps && chattr +j big && lsattr big && chattr -j big && lsattr big')
assert_eq 'root and the journal' '----------j---e------- big
--------------e------- big' "$out"

# Pointers of all kinds become extents, of any number; what was read before is read after.
mkfs.ext3 -q -F -b 1024 -O extents -E root_owner="$(id -u):$(id -g)" old.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
debugfs -w -R 'feature -extents' old.img >/dev/null 2>&1
cat >old.sh <<'BODY'
cd mnt
head -c 5M /dev/urandom >long
for i in $(seq 0 3 600) 70000; do echo "at $i" | dd of=many bs=1024 seek="$i" conv=notrunc status=none; done
mkdir dir && for i in $(seq 300); do : >dir/a_name_that_is_long_enough_$i; done
lsattr -d long many dir
md5sum long many >sums
BODY
out=$("$VIEWSH" run --mount "ext4:old.img:$W/mnt" -- bash old.sh 2>&1)
assert_eq 'pointers' '---------------------- long
---------------------- many
---------------------- dir' "$out"
debugfs -w -R 'feature extents' old.img >/dev/null 2>&1
cat >old.sh <<'BODY'
cd mnt
df -k --output=avail . | tail -1 >before
chattr +e long many dir && lsattr -d long many dir
md5sum --status -c sums && echo same
ls dir | wc -l; touch dir/another; rm dir/a_name_that_is_long_enough_7; ls dir | wc -l
echo end >>many; tail -c 4 many; truncate -s 1M long; md5sum <long
BODY
out=$("$VIEWSH" run --mount "ext4:old.img:$W/mnt" -- bash old.sh 2>&1)
assert_contains 'extents' "$out" '--------------e------- long
--------------e------- many
--------------e------- dir
same
300
300
end'
e2fsck -fn old.img >fsck.out 2>&1 || die "pointers to extents: $(cat fsck.out)"

# Others' files are not theirs to change; immutable and append-only are root's.
cat >root.sh <<'BODY'
cd mnt && echo log >log && echo fixed >fixed && mkdir closed && touch closed/in || exit 1
chattr +a log && chattr +i fixed closed && lsattr log fixed && lsattr -d closed
echo more >>log && cat log
for what in 'echo new >log' 'truncate -s 0 log' 'rm log' 'echo x >>fixed' 'rm fixed' 'ln fixed other' 'mv fixed other' \
  'chmod 600 fixed' 'touch closed/new' 'rm closed/in' 'chattr +d fixed' '[ -w fixed ]'; do
  (eval "$what") 2>/dev/null && echo "could: $what"
done
cp --preserve=all fixed copy && lsattr copy
chattr -i fixed closed && chattr -a log && rm log fixed && rm -r closed
chmod 666 copy
BODY
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- bash root.sh 2>&1)
cat >expected <<'OUT'
-----a--------e------- log
----i---------e------- fixed
----i---------e------- closed
log
more
--------------e------- copy
OUT
diff expected - <<<"$out" >diff.out || die "root: $(cat diff.out)"
clean 'after root'
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash -c 'chattr +d mnt/copy 2>&1; lsattr mnt/copy')
assert_eq "another's file" 'chattr: Operation not permitted while setting flags on mnt/copy
--------------e------- mnt/copy' "$out"

# What is only read, and what is copied on write.
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- chattr +i mnt/file || die 'chattr +i'
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" -- bash -c 'lsattr mnt/file; chattr +d mnt/file 2>&1')
assert_eq 'for reading only' '----i--A------e------- mnt/file
chattr: Read-only file system while setting flags on mnt/file' "$out"
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt" --cow "$W/mnt" -- bash -c 'chattr +d mnt/dir 2>&1; chattr +d mnt/file 2>&1')
assert_contains 'copy on write' "$out" 'Operation not supported while setting flags on mnt/file'
before=$(debugfs -R 'stat /dir' disk.img 2>/dev/null | grep Flags)
assert_contains 'the image below' "$before" 'Flags: 0x80008'
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- chattr -i mnt/file || die 'chattr -i'
clean 'at the end'

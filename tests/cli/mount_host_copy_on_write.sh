#!/bin/bash
# A copy-on-write layer is worked in through mount-host by ordinary programs; what its diff says
# afterwards, and what commit applies, is what the same work does natively.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
need setfattr getfattr perl
cd "$W" || exit 1
mkdir -p tree/d1 tree/d2/sub tree/d3
for i in $(seq 60); do echo "file $i" >"tree/d1/f$i"; done
echo lower >tree/d2/sub/deep
echo one >tree/hard1 && ln tree/hard1 tree/hard2
head -c 300000 /dev/urandom >tree/large
echo gone >tree/d3/gone
ln -s d1 tree/dirlink
printf '%-4096s' mapped >tree/mapped
cat >work.sh <<'BODY'
set -e
cp -a d1 copy
diff -r d1 copy
rm -rf d3
mv d2 moved
mv d1/f1 d1/renamed
echo more >>d1/f2
echo two >hard1
test "$(cat hard2)" = two
test "$(stat -c %i hard1)" = "$(stat -c %i hard2)"
test "$(stat -c %h hard1)" = 2
ln large large2
chmod 640 d1/f3
touch -d '2001-02-03 04:05:06.123456789' d1/f4
truncate -s 100 large
truncate -s 3M sparse
printf end | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
test "$(stat -c %s sparse)" = 3145728
test "$(du -k sparse | cut -f1)" -lt 1000
setfattr -n user.colour -v red d1/f5
test "$(getfattr --only-values -n user.colour d1/f5)" = red
ln -s ../d1/f2 moved/link
mkfifo fifo
mkdir -m 700 private
echo inside >private/in
"$MMAP" mapped MAPPED
head -c 6 mapped >/dev/null
exec 5<d1/f6 6<>d1/f7
rm d1/f7
echo unlinked >&6
test "$(stat -L -c %s /proc/self/fd/6)" -ge 9
echo replaced >d1/f6
read -r text <&5
test "$text" = replaced
exec 5<&- 6<&-
perl -e 'open my $f, ">>", "log" or die; for (1 .. 200) { syswrite $f, "a\n" } ' &
perl -e 'open my $f, ">>", "log" or die; for (1 .. 200) { syswrite $f, "b\n" } ' &
wait
test "$(wc -l <log)" = 400
sort -o log log
find . -type f -name 'f*' | sort | xargs cat | md5sum >sums
umask 077; echo x >masked; umask 022
perl -e 'rename "masked", "masked2" or die; unlink "masked2" or die'
sed -i s/file/FILE/ d1/f8
tar -cf all.tar d1 moved && mkdir out && tar -xf all.tar -C out && diff -r moved out/moved && rm all.tar
BODY
export MMAP=$P/mmap_write
cp -a tree native
before=$(snapshot --exact tree)
new_second
since=$new_second
(cd native && bash -x ../work.sh) >native.out 2>&1 || die "natively: $(tail -5 native.out)"
profile="mounts:
  - {type: cow, at: $W/tree, layer: t}"
shown=$W/mnt$W/tree
serve "$profile"
[ -d "mnt$W" ] && [ ! -e "mnt$W/mnt" ] || die "the mount point shows itself"
(cd "$shown" && bash -x ../work.sh) >view.out 2>&1 || die "in the mount: $(tail -5 view.out)"
snapshot "$shown" "$since" >mnt.tree
snapshot native "$since" >native.tree
diff native.tree mnt.tree || die "native (<) and mount (>) differ"
out=$("$VIEWSH" layers --verify t 2>&1) && die "a layer in use was verified"
assert_contains "in use" "$out" 'in use'
unserve
[ "$before" = "$(snapshot --exact tree)" ] || die "the lower tree was changed"
assert_eq "verified" "t: good" "$("$VIEWSH" layers --verify t)"
"$VIEWSH" diff t >diff.out || die diff
assert_contains "diff" "$(cat diff.out)" 'd3'
serve "$profile"
snapshot "$shown" "$since" >again.tree
diff native.tree again.tree || die "another mount of the layer shows something else"
unserve
"$VIEWSH" commit t >"$T/commit.out" 2>&1 || die "commit: $(cat "$T/commit.out")"
snapshot tree "$since" >committed.tree
diff native.tree committed.tree || die "native (<) and committed (>) differ"

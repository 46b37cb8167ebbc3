#!/bin/bash
# An image is read-only; a copy-on-write mount over it takes changes, and a merge files of it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need genisoimage tar
cd "$W" || exit 1
mkdir -p src/dir/sub
echo one >src/one
echo two >src/dir/two
echo deep >src/dir/sub/deep
ln src/one src/dir/same
ln -s one src/link
chmod 600 src/dir/two
genisoimage -quiet -R -U -cache-inodes -o image.iso src 2>/dev/null
tar -C src -cf image.tar .
# -R keeps owners, as -r doesn't: the files are this user's.

cat >changes.sh <<'BODY'
try() { "$@" 2>&1 | grep -oE '[A-Z][a-z-]+( [a-z]+)+$' || echo done; }
cd /mnt/image
try touch new
try mkdir new
try mkdir dir
try rm one
try rmdir dir
try mv one three
try chmod 777 one
try ln -s x new
try truncate -s 0 one
try setfattr -n user.x -v y one
try cat new
test -w one && echo writable
test -r one && echo readable
BODY
want='Read-only file system
Read-only file system
File exists
Read-only file system
Read-only file system
Read-only file system
Read-only file system
Read-only file system
Read-only file system
Read-only file system
No such file or directory
readable'
for image in image.iso image.tar; do
  got=$("$VIEWSH" run --mount "auto:$image:/mnt/image" -- bash changes.sh)
  assert_eq "$image" "$want" "$got"
  before=$(sha256sum <"$image")
  rm -rf expected && cp -a src expected
  cat >cow.sh <<'BODY'
cd "$1" || exit 1
echo more >>one
cat dir/same
rm dir/two
mv dir moved
mv moved/sub sub
echo new >moved/new
ln -sf elsewhere link
mkdir one-more && chmod 700 one-more
BODY
  (bash cow.sh expected) >expected.out
  "$VIEWSH" run --mount "auto:$image:/mnt/image" --cow /mnt/image --layer changed -- bash cow.sh /mnt/image >got.out ||
    die "changes over $image"
  diff expected.out got.out || die "hard links over $image"
  "$VIEWSH" run --mount "auto:$image:/mnt/image" --cow /mnt/image --layer changed -- \
    diff -r --no-dereference /mnt/image expected || die "the changes over $image"
  assert_eq 'the image is as it was' "$before" "$(sha256sum <"$image")"
  out=$("$VIEWSH" diff changed)
  assert_contains diff "$out" '^R /mnt/image/dir/ -> /mnt/image/moved/$'
  assert_contains diff "$out" '^M /mnt/image/one$'
  assert_contains diff "$out" '^D /mnt/image/.*/?two$'
  "$VIEWSH" discard changed >/dev/null || die discard
done

mkdir up
out=$("$VIEWSH" run --mount auto:image.tar:/mnt/image --merge up:/mnt/image:/mnt/merged:rw -- \
  bash -c 'cd /mnt/merged && cat one dir/two && echo changed >>dir/two && cat dir/two') || die "a merge: $out"
assert_eq 'a merge' "$(printf 'one\ntwo\ntwo\nchanged')" "$out"
assert_eq 'what it wrote' "$(printf 'two\nchanged')" "$(cat up/dir/two)"

out=$("$VIEWSH" run --mount auto:image.tar:/mnt/image --bind /mnt/image/dir:/mnt/part --bind /mnt/image/one:/mnt/file -- \
  bash -c 'cat /mnt/file; cd /mnt/part/sub && pwd && cat deep ../two; readlink /proc/self/cwd') || die "a bind: $out"
assert_eq 'a bind' "$(printf 'one\n/mnt/part/sub\ndeep\ntwo\n/mnt/part/sub')" "$out"

# What belongs to somebody else is neither read nor changed by way of a copy.
cat >other.sh <<'BODY'
for at; do
  cat "$at/dir/two" 2>&1 | grep -o 'Permission denied'
  { echo more >>"$at/dir/two"; } 2>&1 | grep -o 'Permission denied'
  { echo more >>"$at/one"; } 2>&1 | grep -o 'Permission denied'
  touch "$at/dir/new" 2>&1 | grep -o 'Permission denied'
  cat "$at/one"
done
BODY
rm -rf up && mkdir up
out=$("$VIEWSH" run --mount auto:image.tar:/mnt/image:uid=1,gid=1 --merge up:/mnt/image:/mnt/merged:rw --cow /mnt/image -- \
  bash other.sh /mnt/image /mnt/merged)
four=$(printf 'Permission denied\n%.0s' 1 2 3 4)
assert_eq "somebody else's" "$(printf '%s\none\n%s\none' "$four" "$four")" "$out"
assert_eq 'nothing was copied' '' "$(find up -type f)"

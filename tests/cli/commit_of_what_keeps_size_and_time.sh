#!/bin/bash
# A file that was written to and has its old size and time again is a change: cp -p, tar(1), rsync(1)
# and others set the time of what they wrote. What only got another mode is none of its content.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
mkdir old new
for f in cp dd link hard mode locked same; do
  echo 'version 1.2.3' >"old/$f"
  echo 'version 1.2.4' >"new/$f"
done
ln old/hard old/hard2
truncate -s 64M old/sparse
printf 1 | dd of=old/sparse bs=1 seek=40000000 conv=notrunc status=none
cp --sparse=always old/sparse new/sparse
printf 2 | dd of=new/sparse bs=1 seek=40000000 conv=notrunc status=none
cp old/sparse old/sparse2
touch -d @1700000000 old/* new/*
tar -C new -cf "$T/link.tar" link

"$VIEWSH" run --cow / --layer t -- sh -c '
  cp -p new/cp old/cp && dd if=new/dd of=old/dd conv=notrunc status=none && touch -r new/dd old/dd &&
  tar -C old --overwrite -xf "$1" && cp -p new/hard old/hard && chmod 600 old/mode old/sparse2 &&
  cp -p new/locked old/locked && chmod 0 old/locked && touch -r new/same old/same &&
  cp -p new/sparse old/sparse' - "$T/link.tar" || die "run"
assert_eq "in the view" 'version 1.2.4' "$("$VIEWSH" run --cow / --layer t -- cat old/hard2)"
"$VIEWSH" diff --json t >"$T/json" || die "diff"
what() { # NAME: what diff says of it
  python3 -c '
import json, sys
print(*[c["change"] + (" content" if c["content"] else "") for c in json.load(open(sys.argv[1]))
        if c["path"].endswith("/" + sys.argv[2])])' "$T/json" "$1"
}

for f in cp dd link hard sparse locked; do assert_contains "$f" "$(what $f)" content; done
for f in mode sparse2; do
  assert_contains "$f" "$(what $f)" .
  assert_lacks "$f" "$(what $f)" content
done
"$VIEWSH" commit t >"$T/out" || die "commit"
for f in cp dd link hard hard2; do assert_eq "$f" 'version 1.2.4' "$(cat old/$f)"; done
assert_eq "one file" 2 "$(stat -c %h old/hard)"
cmp old/sparse new/sparse || die "sparse"
chmod 600 old/locked
assert_eq "locked" 'version 1.2.4' "$(cat old/locked)"
assert_eq "mode" 'version 1.2.3' "$(cat old/mode)"

# viewsh try takes it for what it is, too.
touch -d @1700000000 new/same old/same
"$VIEWSH" try --keep --layer u -- cp -p new/same old/same >"$T/out" 2>&1 || die "try: $(cat "$T/out")"
assert_contains "try" "$(cat "$T/out")" '1 change'
"$VIEWSH" commit u >/dev/null || die "commit after try"
assert_eq "same" 'version 1.2.4' "$(cat old/same)"

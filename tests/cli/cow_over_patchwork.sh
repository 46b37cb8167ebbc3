#!/bin/bash
# Copy-on-write over a patchwork, and a patchwork over copy-on-write.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/real" "$W/place" "$W/plain"
echo real >"$W/real/f"
echo plain >"$W/plain/f"
cd "$W" || exit 1
before=$(snapshot --exact "$W/real")
# The copy-on-write root covers the bind: nothing of it reaches the real files.
"$VIEWSH" run --bind "$W/real:$W/place" --cow / -- sh -c \
  'echo changed >place/f; rm plain/f; mkdir place/d; cat place/f; ls plain' >"$T/out" || die "cow last"
assert_eq "read back" changed "$(cat "$T/out")"
assert_eq "real" "$before" "$(snapshot --exact "$W/real")"
assert_eq "plain" plain "$(cat plain/f)"
# The source of a bind is a path of the view below it: over the copy-on-write root it is a copy.
"$VIEWSH" run --cow / --bind "$W/real:$W/place" -- sh -c \
  'echo new >place/g; cat real/g; echo f >>real/f; cat place/f; [ real/f -ef place/f ] && echo same' \
  >"$T/out" || die "bind last"
assert_eq "one file by both names" "$(printf 'new\nreal\nf\nsame')" "$(cat "$T/out")"
assert_eq "real afterwards" "$before" "$(snapshot --exact "$W/real")"
# A name with a slash behind it is nothing that a file could be made by, in a directory of the lower too.
out=$(cd real && "$VIEWSH" run --cow "$W/real" -- perl -MPOSIX -e '
  print mkfifo("x/", 0644) ? "made" : $!{ENOENT} ? "ENOENT" : $!, " ", symlink("y", "x/") ? "made" : $!{ENOENT} ? "ENOENT" : $!')
assert_eq "a slash" "ENOENT ENOENT" "$out"

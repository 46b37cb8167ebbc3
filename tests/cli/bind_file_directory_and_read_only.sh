#!/bin/bash
# --bind of a directory, of a file, read-only; the place is what it was outside and afterwards.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/real/sub" "$W/place" "$W/other"
echo real >"$W/real/f"
echo original >"$W/file"
echo covered >"$W/place/covered"
cd "$W" || exit 1
assert_eq "seen" "f sub" "$("$VIEWSH" run --bind "$W/real:$W/place" -- ls place | tr '\n' ' ' | sed 's/ $//')"
"$VIEWSH" run --bind "$W/real:$W/place" -- sh -c 'echo new >place/new; mkdir place/d; mv place/new place/d/' || die "writing"
assert_eq "written through" new "$(cat real/d/new)"
assert_eq "place untouched" covered "$(ls place)"
"$VIEWSH" run --bind "$W/real/f:$W/file" -- sh -c 'cat file; echo more >>file' >"$T/out" || die "a file"
assert_eq "file seen" real "$(cat "$T/out")"
assert_eq "file written through" "real more" "$(tr '\n' ' ' <real/f | sed 's/ $//')"
assert_eq "the covered file" original "$(cat file)"
assert_eq "one file by both names" same \
  "$("$VIEWSH" run --bind "$W/real:$W/place" -- sh -c '[ real/f -ef place/f ] && echo same')"
assert_eq "cwd" "$W/place/sub" "$("$VIEWSH" run --bind "$W/real:$W/place" -- sh -c 'cd place/sub; pwd -P')"
assert_eq ".. at the border" "$W" "$("$VIEWSH" run --bind "$W/real:$W/place" -- sh -c 'cd place; cd -P ..; pwd -P')"
assert_eq "/proc/self/cwd" "$W/place" \
  "$("$VIEWSH" run --bind "$W/real:$W/place" -- sh -c 'cd place; readlink /proc/self/cwd')"
assert_eq "rename across the border" EXDEV "$("$VIEWSH" run --bind "$W/real:$W/place" -- \
  perl -MErrno -e 'rename("place/f", "other/f"); print $!{EXDEV} ? "EXDEV" : "$!"')"

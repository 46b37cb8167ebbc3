#!/bin/bash
# A state or runtime directory that is named through symbolic links, by "." or ".." or with too many
# slashes is the one that it is; paths on the command line may go through links, too.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
mkdir "$T/real" "$W/in"
ln -s real "$T/sym"
ln -s in by
work='touch A; echo upper >A; echo two >>A; cat A; mkdir d; echo z >d/z; mv d dd; ls dd; python3 -c "
import os
fd = os.open(\"A\", os.O_RDWR)
os.fchmod(fd, 0o600)
print(oct(os.stat(\"A\").st_mode), os.readlink(\"/proc/self/fd/%d\" % fd))"'
for state in "$T/real" "$T/sym" "$T/real/" "$T//real" "$T/./real" "$T/real/../real" "$T/sym/new"; do
  export XDG_STATE_HOME=$state
  out=$(cd in && "$VIEWSH" run --cow / --layer t -- sh -c "$work") || die "$state: run"
  assert_eq "$state" "upper two z 0o100600 $W/in/A" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
  assert_eq "$state: diff" "A $W/in/A A $W/in/dd/ A $W/in/dd/z" \
    "$("$VIEWSH" diff t | tr '\n' ' ' | sed 's/ $//')"
  assert_eq "$state: hidden" "" "$("$VIEWSH" run --cow / -- ls "$T/real/viewsh/views" 2>/dev/null)"
  for path in "$W/by/dd" "$W/by/dd/z" "$W/by/d*"; do
    assert_contains "$state: $path" "$("$VIEWSH" diff t "$path")" "A $W/in/dd/z"
  done
  assert_contains "$state: link at the end" "$("$VIEWSH" diff t "$W/by")" "A $W/in/A"
  refused 125 'nothing is changed there' "$VIEWSH" diff t "$W/by/nosuch"
  "$VIEWSH" discard t "$W/by/dd" >/dev/null || die "$state: discard"
  "$VIEWSH" commit t "$W/by/A" >/dev/null || die "$state: commit"
  assert_eq "$state: committed" 'upper two' "$(tr '\n' ' ' <in/A | sed 's/ $//')"
  rm in/A
done
unset XDG_STATE_HOME
ln -s home "$W/symhome"
out=$(HOME=$W/symhome "$VIEWSH" run --cow / --layer h -- sh -c 'cd ~; echo 1 >f; echo 2 >>f; cat f') ||
  die "a home by a link"
assert_eq "home" '1 2' "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
assert_eq "home: path" "A $W/home/f" "$(HOME=$W/symhome "$VIEWSH" diff h "$W/symhome/f")"
HOME=$W/symhome "$VIEWSH" commit h >/dev/null || die "home: commit"
# A link that the layer itself made, renamed or removed is the path that was meant.
export XDG_STATE_HOME=$T/real
"$VIEWSH" run --cow / --layer l -- sh -c 'ln -s in made; rm by; echo 1 >in/n' || die "links"
assert_eq "a new link" "A $W/made" "$("$VIEWSH" diff l "$W/made")"
assert_eq "through it" "A $W/in/n" "$("$VIEWSH" diff l "$W/made/n")"
assert_eq "a removed link" "D $W/by" "$("$VIEWSH" diff l "$W/by")"
mkdir -m 700 "$T/run"
ln -s run "$T/symrun"
for run in "$T/symrun" "$T/run/" "$T/run/../run"; do
  out=$(XDG_RUNTIME_DIR=$run "$VIEWSH" run --tmpfs "$W/m" -- sh -c 'cd m; echo x >f; exec 3<f
    readlink /proc/self/fd/3; pwd -P; readlink /proc/self/cwd') || die "$run"
  assert_eq "$run" "$W/m/f $W/m $W/m" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
done

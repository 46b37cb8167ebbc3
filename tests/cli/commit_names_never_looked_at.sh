#!/bin/bash
# A file of several names is written to, and the name that was used is removed: the others have the
# new content, also those that nobody looked at in the view, for diff, commit, export and restore.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir d e e/deep
echo old >d/a
ln d/a e/b
ln d/a e/deep/c
view() { "$VIEWSH" run --cow "$W" --layer t -- "$@"; }
view sh -c 'exec 3<>d/a; rm d/a; echo "new and longer" >&3'
assert_eq "the lower" old "$(cat e/b)"
assert_eq "diff" "D $W/d/a
M $W/e/b
M $W/e/deep/c" "$("$VIEWSH" diff t)"
"$VIEWSH" layers --verify t >"$T/out" || die "verify: $(cat "$T/out")"
assert_eq "in a later view" "new and longer 2" "$(view sh -c 'cat e/deep/c; stat -c %h e/b' | tr '\n' ' ' | sed 's/ $//')"
"$VIEWSH" commit t >/dev/null || die "commit"
assert_eq "committed" "new and longer" "$(cat e/deep/c)"
assert_eq "still one file" "$(stat -c %i e/b) 2" "$(stat -c '%i %h' e/deep/c)"
[ ! -e d/a ] || die "the removed name is there"
# A name in a directory that may not be searched can't be seen, in the view either.
echo old >d/a
ln d/a e/x
view sh -c 'echo new >d/a; chmod 000 e; rm d/a'
"$VIEWSH" commit t >/dev/null || die "commit with a closed directory"
assert_eq "mode" 0 "$(stat -c %a e)"
chmod 755 e
assert_eq "below what was closed in the view" new "$(cat e/x)"
# Taken back.
echo old >d/a
ln d/a e/y
view sh -c 'exec 3<>d/a; rm d/a; echo newer >&3'
"$VIEWSH" discard t >/dev/null || die "discard"
assert_eq "discarded" "old old" "$(cat d/a e/y | tr '\n' ' ' | sed 's/ $//')"
# A layer that another one stands on is only read for that one's diff.
view sh -c 'exec 3<>d/a; rm d/a; echo newest >&3' || die "the base"
dir=$("$VIEWSH" layers --json t | sed -n 's/.*"path": "\(.*\)".*/\1/p')
state() { (cd "$dir" && ls -lR --time-style=full-iso upper links && cksum log); }
"$VIEWSH" run --cow "$W" --layer t --layer top -- sh -c 'echo x >x' || die "the layer on it"
was=$(state)
assert_eq "diff of the upper one" "A $W/x" "$("$VIEWSH" diff top)"
assert_eq "the base is as it was" "$was" "$(state)"

#!/bin/bash
# A commit that was killed, and whose temporary names somebody then removes from the real tree: --resume doesn't
# say that all was done, --undo gives back what is still there, also when it has to be asked twice.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace
cd "$W" || exit 1
strace -o /dev/null true 2>/dev/null || skip "strace(1) may not trace here"
prepare() { # KILLED-AT: renameat2(2) of a commit of two files
  rm -rf d && mkdir d && echo one >d/f && echo two >d/g
  "$VIEWSH" discard t >/dev/null 2>&1
  "$VIEWSH" run --cow "$W" --layer t -- sh -c 'echo new >d/f; echo new >d/g' || die run
  # The shell says that it was killed, to nobody.
  { strace -f -o /dev/null -e "inject=renameat2:signal=KILL:when=$1" "$VIEWSH" commit t d/f d/g >/dev/null 2>&1 && die "not killed at $1"; } 2>/dev/null
  return 0
}
prepare 1
rm -f d/.viewsh-commit-*
"$VIEWSH" commit --resume t >out 2>&1 && [ "$(cat d/f d/g)" != $'new\nnew' ] && die "said to be committed: $(cat out d/f d/g)"
"$VIEWSH" commit --undo t >out 2>&1 || die "undo: $(cat out)"
assert_eq 'nothing was made, and so it stays' $'one\ntwo' "$(cat d/f d/g)"
assert_eq 'in the view' $'new\nnew' "$("$VIEWSH" run --cow "$W" --layer t -- cat d/f d/g)"
"$VIEWSH" commit t >/dev/null || die "commit"
assert_eq 'committed after all' $'new\nnew' "$(cat d/f d/g)"
# One is made, and gone since; the other was saved by somebody: undo stops there, and goes on when it may.
prepare 2
made=$(grep -l new d/f d/g | head -1)
rm "$made"
"$VIEWSH" commit --undo t >out 2>&1 || die "undo, of what was removed: $(cat out)"
assert_eq 'what was removed is what it was' $'one\ntwo' "$(cat d/f d/g)"
assert_eq 'nothing is left' '' "$(find . -name '.viewsh-commit-*')"

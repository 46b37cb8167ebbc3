#!/bin/bash
# A commit whose journal can't be written through, at each of its writes: all or nothing, said so, and
# the layer isn't left as that of a commit that was cut short.
LIMIT=200
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace
strace -o /dev/null true 2>/dev/null || skip "strace can't trace here"
mkdir "$W/t" && cd "$W/t" || exit 1
failed=0
for n in 1 2 3 4 5 6 7 8 9 10; do
  rm -f ./*
  echo old >a
  echo old >b
  ln b c
  "$VIEWSH" discard t >/dev/null 2>&1
  "$VIEWSH" run --cow / --layer t -- sh -c 'echo new >a; echo new >b; echo new >d' || die "run"
  strace -f -o "$T/trace" -e trace=fsync -e "inject=fsync:error=EIO:when=$n" \
    "$VIEWSH" commit t >"$T/out" 2>&1 && break
  grep -q INJECTED "$T/trace" || die "fails of itself: $(cat "$T/out")"
  failed=$((failed + 1))
  if grep -q 'nothing was written' "$T/out"; then
    assert_eq "fsync $n" "old old old" "$(cat a b c | tr '\n' ' ' | sed 's/ $//')"
    [ ! -e d ] || die "fsync $n: written all the same"
    assert_lacks "fsync $n" "$("$VIEWSH" layers)" 'cut short'
    "$VIEWSH" commit t >/dev/null || die "the next commit after fsync $n"
  fi
  assert_eq "fsync $n" "new new new new" "$(cat a b c d | tr '\n' ' ' | sed 's/ $//')"
done
[ "$failed" -ge 3 ] || die "only $failed failed"

#!/bin/bash
# A session of commits in a view, a snapshot after each: every one of them is a sound repository.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need git
cd "$W" || exit 1
git init -q repo && cd repo || die init
echo 0 >f && git add f && git commit -qm c0 || die commit
view() { "$VIEWSH" run --cow "$W" --layer t -- "$@"; }
for i in 1 2 3; do
  view sh -c "echo $i >>f; git add f; git commit -qm c$i" || die "commit $i"
  "$VIEWSH" snapshot t "c$i" >/dev/null || die "snapshot $i"
done
view sh -c 'git gc -q --prune=now; git commit -q --amend -m other; git branch side HEAD~2' || die gc
for i in 2 1 3; do
  "$VIEWSH" restore t "c$i" >/dev/null || die "restore $i"
  assert_eq "history $i" "$(seq -f 'c%g' "$i" -1 0)" "$(view git log --format=%s)"
  view git fsck --strict >/dev/null 2>&1 || die "fsck $i"
  assert_eq "clean $i" "" "$(view git status --porcelain)"
done
assert_contains "between" "$("$VIEWSH" diff t@c1..c2)" '^M .*/repo/f$'
assert_eq "the lower" "c0" "$(git log --format=%s)"
assert_eq "snapshots" 6 "$(($("$VIEWSH" snapshot t | wc -l) - 1))"

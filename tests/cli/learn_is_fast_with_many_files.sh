#!/usr/bin/env bash
# 10,000 files: the directories stand for them, and learning takes not much longer than a cow does.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need python3

for d in {1..100}; do
  mkdir -p "$W/tree/$d"
  for f in {1..100}; do echo "$d $f" >"$W/tree/$d/$f"; done
done
cat >"$W/read.py" <<'X'
n = 0
for d in range(1, 101):
    for f in range(1, 101):
        n += len(open(f"tree/{d}/{f}").read())
print(n)
X
relearn many python3 read.py
assert_contains 'the tree' "$learned" 'at: \$PWD/tree, .*# 10000 files of it'
[ "$(wc -l <"$T/many.yaml")" -lt 150 ] || die "too long"

#!/bin/bash
# --merge A:B:AT: a union; directories merged, the first wins; rw writes to the first alone.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/a/common" "$W/b/common" "$W/b/only_b" "$W/at"
echo a >"$W/a/both"
echo b >"$W/b/both"
echo a >"$W/a/common/a"
echo b >"$W/b/common/b"
echo b >"$W/b/only_b/f"
cd "$W" || exit 1
before=$(snapshot --exact "$W")
got=$("$VIEWSH" run --merge "$W/a:$W/b:$W/at" -- sh -c 'cat at/both at/common/a at/common/b at/only_b/f; cd at; find . | sort')
assert_eq "union" "$(printf 'a\na\nb\nb\n.\n./both\n./common\n./common/a\n./common/b\n./only_b\n./only_b/f')" "$got"
assert_eq "nothing written" "$before" "$(snapshot --exact "$W")"
cat >p.yaml <<'YAML'
viewsh: 1
mounts:
  - {type: merge, at: at, sources: [a, b], options: [rw]}
YAML
lower=$(snapshot --exact b)
"$VIEWSH" run -p p.yaml -- sh -c 'echo new >at/new; echo changed >at/only_b/f; cat at/only_b/f' >"$T/out" || die "writing"
assert_eq "read back" changed "$(cat "$T/out")"
assert_eq "to the first" "new changed" "$(cat a/new a/only_b/f | tr '\n' ' ' | sed 's/ $//')"
assert_eq "the second untouched" "$lower" "$(snapshot --exact b)"

#!/bin/bash
# commit refuses files that changed meanwhile, names them, and applies nothing; --force applies.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo one >a
echo one >b
mkdir d
"$VIEWSH" run --cow / --layer t -- sh -c 'echo view >a; echo view >b; rmdir d' || die "run"
echo "changed meanwhile" >a
touch d/somebody
before=$(snapshot --exact "$W")
status=0
"$VIEWSH" commit t >"$T/out" 2>&1 || status=$?
assert_eq "exit status" 1 "$status"
assert_contains "named" "$(cat "$T/out")" "$W/a"
assert_eq "nothing applied" "$before" "$(snapshot --exact "$W")"
assert_contains "still there" "$("$VIEWSH" layers)" 't'
"$VIEWSH" commit t "$W/b" >/dev/null || die "what did not change can be committed"
assert_eq "b" view "$(cat b)"
"$VIEWSH" commit --force t "$W/a" >/dev/null || die "--force"
assert_eq "a" view "$(cat a)"

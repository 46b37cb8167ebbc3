#!/bin/bash
# viewsh in a view: works, or says in one line why not and fails; never a success that did nothing.
. "$(dirname "$0")/../support/lib.sh"
needs_view
status=0
got=$("$VIEWSH" run --cow / -- "$VIEWSH" run --cow / -- echo inner 2>"$T/err") || status=$?
if [ "$status" = 0 ]; then
  assert_eq "the inner command ran" inner "$got"
else
  assert_eq "exit status" 125 "$status"
  assert_contains "why" "$(cat "$T/err")" '^viewsh: already inside a view'
  assert_eq "one line" 1 "$(wc -l <"$T/err")"
fi
# Nothing to trace, so nothing in the way; and what only looks works, too.
assert_eq "an empty view" inner "$("$VIEWSH" run --cow / -- "$VIEWSH" run -- echo inner)"
"$VIEWSH" run --cow / -- "$VIEWSH" resolve --bind /usr:/opt /opt >"$T/out" || die "resolve"
status=0
"$VIEWSH" run --bind "$W:/opt" -- "$VIEWSH" try -- echo inner >"$T/out" 2>"$T/err" </dev/null || status=$?
assert_eq "exit status of try" 125 "$status"
assert_contains "try" "$(cat "$T/err")" '^viewsh: already inside a view'
assert_contains "doctor" "$("$VIEWSH" run --cow / -- "$VIEWSH" doctor)" 'this is a view already'

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
  assert_contains "why" "$(cat "$T/err")" '^viewsh: .+'
fi

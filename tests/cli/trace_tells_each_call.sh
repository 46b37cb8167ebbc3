#!/bin/bash
# --trace: a line for each trapped call; --trace=FILE keeps it apart.
. "$(dirname "$0")/../support/lib.sh"
needs_view
echo text >"$W/f"
cd "$W" || exit 1
"$VIEWSH" run --cow / "--trace=$T/trace" -- cat f none >"$T/out" 2>/dev/null
assert_eq "output" text "$(cat "$T/out")"
assert_contains "the open" "$(cat "$T/trace")" 'open.*"f"'
assert_contains "the failure" "$(cat "$T/trace")" 'none.*ENOENT'
"$VIEWSH" run --cow / --stats -- cat f >"$T/out" 2>"$T/err"
assert_contains "stats" "$(head -1 "$T/err")" '^viewsh: trapped calls: [1-9][0-9]*$'
assert_contains "by call" "$(cat "$T/err")" 'open'

#!/bin/bash
# try of something that changes nothing says so, keeps no layer, and gives the command's status.
. "$(dirname "$0")/../support/lib.sh"
needs_view
assert_status 7 "$VIEWSH" try -- sh -c 'exit 7' 2>"$T/err" </dev/null
assert_contains "said" "$(cat "$T/err")" 'no change'
assert_lacks "layers" "$("$VIEWSH" layers)" 'try-'

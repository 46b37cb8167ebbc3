#!/bin/bash
# strace in a view: works, or is refused; the session goes on and `timeout` ends it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace
SECONDS=0
"$VIEWSH" run --cow / -- timeout 20 strace -o /dev/null true >/dev/null 2>&1
[ "$SECONDS" -lt 60 ] || die "it hung"
assert_eq "afterwards" fine "$("$VIEWSH" run --cow / -- sh -c 'timeout 5 strace true >/dev/null 2>&1; echo fine')"

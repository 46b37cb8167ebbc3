#!/bin/bash
# Two views with one layer at once: shared or refused with 125 and a line, never corrupted; commit
# and discard of a layer in use are refused.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkfifo "$T/hold" "$T/ready"
"$VIEWSH" run --cow / --layer t -- sh -c 'echo one >one; echo ready >"$0"; read x <"$1"; echo more >>one; cat one' \
  "$T/ready" "$T/hold" >"$T/first" &
first=$!
# The FIFOs are the same object in a view: only regular files are copied.
read -r _ <"$T/ready"
status=0
"$VIEWSH" run --cow / --layer t -- sh -c 'echo two >two; cat one' >"$T/second" 2>"$T/err" || status=$?
case $status in
  0) assert_eq "shared" one "$(cat "$T/second")" ;;
  125) assert_eq "a line" 1 "$(wc -l <"$T/err")" ;;
  *) die "exit status $status" ;;
esac
refused 125 'use' "$VIEWSH" discard t
refused 125 'use' "$VIEWSH" commit t
echo go >"$T/hold"
wait "$first" || die "the first view"
assert_eq "the first" "$(printf 'one\nmore')" "$(cat "$T/first")"
assert_eq "afterwards" "$(printf 'one\nmore')" "$("$VIEWSH" run --cow / --layer t -- cat one)"
"$VIEWSH" discard t >/dev/null || die "discard afterwards"

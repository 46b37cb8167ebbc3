#!/bin/bash
# Exit status: the command's own, 128+N after signal N; 125, 126 and 127 are viewsh's.
. "$(dirname "$0")/../support/lib.sh"
needs_view
for options in '' '--cow /'; do
  for status in 0 1 42 124 125 255; do
    # shellcheck disable=SC2086
    assert_status $status "$VIEWSH" run $options -- sh -c "exit $status"
  done
  for signal in 1 2 9 11 15; do
    # shellcheck disable=SC2086
    assert_status $((128 + signal)) "$VIEWSH" run $options -- bash -c "ulimit -c 0; kill -$signal \$\$" 2>/dev/null
  done
done
assert_eq "output comes through" "$(printf 'a\nb')" "$("$VIEWSH" run -- printf 'a\nb\n')"
assert_eq "input goes in" 'INPUT' "$(echo input | "$VIEWSH" run --cow / -- tr a-z A-Z)"
assert_eq "errors apart" '' "$("$VIEWSH" run -- sh -c 'echo x >&2' 2>/dev/null)"

#!/bin/bash
# snapshot and restore killed at many moments: the layer is one state or the other, and good.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
view() { "$VIEWSH" run --cow "$W" --layer t -- "$@"; }
# shellcheck disable=SC2016 # for the shell in the view
view bash -c 'mkdir d; for i in $(seq 300); do echo old >d/f$i; done' || die "a layer"
"$VIEWSH" snapshot t old >/dev/null || die snapshot
# shellcheck disable=SC2016
change() { view bash -c 'for f in d/*; do echo new >$f; done; mkdir -p e; echo x >e/y'; }
change || die change
state() { view sh -c 'cat d/* | sort | uniq -c; ls -d [de]; ls d | wc -l'; }
new=$(state)
old=$(printf '    300 old\nd\n300')
killed_after() { # MILLISECONDS COMMAND...
  local pid
  "$VIEWSH" "${@:2}" >/dev/null 2>&1 &
  pid=$!
  sleep "$(printf '0.%03d' "$1")"
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
}
restored=0
for i in $(seq 40); do
  killed_after $((i * 4)) snapshot t "k$i"
  killed_after $((i * 4)) restore t old
  assert_eq "verify" "t: good" "$("$VIEWSH" layers --verify t)"
  case $(state) in
    "$new") ;;
    "$old")
      restored=$((restored + 1))
      change || die "change again"
      ;;
    *) die "after kill $i: $(state)" ;;
  esac
done
[ "$restored" -gt 0 ] && [ "$restored" -lt 40 ] || echo "all kills came too early or too late ($restored)"
"$VIEWSH" restore t old >/dev/null || die "restore"
assert_eq "at last" "$old" "$(state)"

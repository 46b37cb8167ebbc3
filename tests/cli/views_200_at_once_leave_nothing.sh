#!/bin/bash
# 200 views started and ended at once: no process, no file in /tmp, /dev/shm, the runtime or state
# directory is left behind.
LIMIT=300
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
# Only what is ours: other tests run at the same time.
left() { find "$T/run" "$T/state" "$TMPDIR" /tmp /dev/shm -mindepth 1 -maxdepth 2 -user "$(id -u)" -not -path "$T" -not -path "$T/*/*/*" 2>/dev/null |
  grep -vE "^$T/(state|run|w|home|tmp|err|count|body.sh|native|view|bad)?$|^$T/state/viewsh$|^$T/state/viewsh/layers$" | sort; }
[ "$(id -u)" -ge 200000 ] || left() { find "$T/run" "$T/state" "$TMPDIR" -mindepth 1 | grep -vE "^$T/state/viewsh(/layers)?$" | sort; }
before=$(left)
pids=()
for i in $(seq 1 200); do
  "$VIEWSH" run --cow / --tmpfs "$W/tmp" -- sh -c 'echo "$0" >own; mkdir -p d/e; mv d f; echo t >tmp/t; cat own' "$i" >"$T/out.$i" 2>"$T/err.$i" &
  pids+=($!)
done
failed=0
for i in $(seq 1 200); do
  wait "${pids[$((i - 1))]}" && [ "$(cat "$T/out.$i")" = "$i" ] || {
    failed=$((failed + 1))
    head -2 "$T/err.$i"
  }
done
rm -f "$T"/out.* "$T"/err.*
[ "$failed" = 0 ] || die "$failed of 200 views failed"
assert_eq "files left behind" "$before" "$(left)"
assert_eq "the directory" "home tmp" "$(ls -A | tr '\n' ' ' | sed 's/ $//')"
assert_lacks "layers" "$("$VIEWSH" layers)" '[0-9]+ change'

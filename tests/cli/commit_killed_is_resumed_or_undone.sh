#!/bin/bash
# A commit that was killed: every command says so and what to type; it is resumed or taken back.
LIMIT=200
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/tree"
cd "$W/tree" || exit 1
mkdir d
for i in $(seq 300); do echo "$i" >"d/$i"; done
chmod 555 d
cp -a "$W/tree" "$T/input"
before=$(snapshot "$W/tree")
change='chmod 755 d; for i in d/*; do echo more >>"$i"; done; rm d/7; mv d e; touch -d 2010-10-10 e/*; chmod 555 e'

round() { # resume|undo: kills until a commit is left unfinished; 1: it never was
  local delay pid
  for delay in 0.01 0.02 0.03 0.05 0.07 0.1 0.15 0.2 0.3; do
    chmod -R u+w "$W/tree" && rm -r "$W/tree" && cp -a "$T/input" "$W/tree"
    cd "$W/tree" || exit 1
    "$VIEWSH" discard t >/dev/null 2>&1
    "$VIEWSH" run --cow / --layer t -- sh -c "$change" || die "run"
    "$VIEWSH" commit t >/dev/null 2>&1 &
    pid=$!
    sleep "$delay"
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    ! "$VIEWSH" layers | grep -q 'cut short' || return 0
  done
  return 1
}
cd "$W/tree" || exit 1
(
  chmod 755 d && sh -c "$change"
)
snapshot "$W/tree" 1600000000 >"$T/expected"

if round undo; then
  if "$VIEWSH" commit --undo t >"$T/out" 2>&1; then
    assert_eq "as before" "$before" "$(snapshot "$W/tree")"
    "$VIEWSH" commit t >/dev/null || die "commit after undo"
  else
    # It was past the point of no return.
    assert_contains "said" "$(cat "$T/out")" 'commit --resume t cleans up'
    "$VIEWSH" commit --resume t >/dev/null || die "resume"
  fi
  snapshot "$W/tree" 1600000000 | diff "$T/expected" - || die "after undo and commit"
fi
if round resume; then
  refused 125 'layer t: a commit of it was cut short: viewsh commit --resume t' "$VIEWSH" diff t
  refused 125 'viewsh commit --undo t' "$VIEWSH" discard t
  refused 125 'cut short' "$VIEWSH" run --cow / --layer t -- true
  refused 125 'cut short' "$VIEWSH" commit t
  assert_contains "layers" "$("$VIEWSH" layers)" 'cut short'
  "$VIEWSH" commit --resume t >/dev/null || die "resume"
  snapshot "$W/tree" 1600000000 | diff "$T/expected" - || die "after resume"
  assert_lacks "layers" "$("$VIEWSH" layers)" '^t '
fi
"$VIEWSH" discard t >/dev/null 2>&1
"$VIEWSH" run --cow / --layer t -- touch "$W/x"
refused 125 'no commit of it is unfinished' "$VIEWSH" commit --undo t
refused 125 'no commit of it is unfinished' "$VIEWSH" commit --resume t

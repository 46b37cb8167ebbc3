#!/bin/bash
# Directories that their owner can't read or search in the end are committed with all that is in them.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir -p old/in && echo 1 >old/in/f
"$VIEWSH" run --cow / --layer t -- sh -c '
  mkdir -p new/in/deep && echo 2 >new/in/deep/f && echo more >>old/in/f && touch old/in/n
  chmod 0 new/in/deep new/in new old/in old' || die "run"
"$VIEWSH" commit t >"$T/out" 2>&1 || die "commit: $(cat "$T/out")"
assert_eq "layers" "" "$(ls "$XDG_STATE_HOME/viewsh/layers")"
assert_eq "modes" '0 0' "$(stat -c %a new old | tr '\n' ' ' | sed 's/ $//')"
chmod 700 new old && chmod 700 new/in old/in && chmod 700 new/in/deep
assert_eq "content" '2 1 more' "$(cat new/in/deep/f old/in/f | tr '\n' ' ' | sed 's/ $//')"

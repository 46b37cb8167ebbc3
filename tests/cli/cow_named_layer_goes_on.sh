#!/bin/bash
# A named layer keeps what was done; the next view with it goes on there; others see nothing of it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/d"
echo old >"$W/d/f"
cd "$W" || exit 1
"$VIEWSH" run --cow / --layer work -- sh -c 'echo new >d/f; mv d e; echo x >e/g; chmod 700 e' || die "first"
assert_eq "second run" "f g new 700" \
  "$("$VIEWSH" run --cow / --layer work -- sh -c 'echo $(ls e; cat e/f; stat -c %a e)')"
assert_eq "another layer" "old" "$("$VIEWSH" run --cow / --layer other -- cat d/f)"
assert_eq "no layer" "old" "$("$VIEWSH" run --cow / -- cat d/f)"
assert_eq "really" "old" "$(cat d/f)"
assert_contains "layers" "$("$VIEWSH" layers)" 'work'
"$VIEWSH" discard work >/dev/null || die "discard"
assert_lacks "layers afterwards" "$("$VIEWSH" layers 2>&1)" '\bwork\b'
assert_eq "discarded" "old" "$("$VIEWSH" run --cow / -- cat d/f)"

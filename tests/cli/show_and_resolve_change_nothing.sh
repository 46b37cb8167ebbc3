#!/bin/bash
# show and resolve only look: no layer is made, none is locked or written.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo old >f
"$VIEWSH" show --cow / --layer work >"$T/out" || die "show"
assert_contains "show" "$(cat "$T/out")" 'layer work'
"$VIEWSH" resolve --cow / --layer work f >"$T/out" || die "resolve"
assert_contains "resolve" "$(cat "$T/out")" "^$W/f +/ +cow +work +$W/f\$"
assert_lacks "layers" "$("$VIEWSH" layers)" work
[ -z "$(find "$XDG_STATE_HOME" -mindepth 1)" ] || die "made: $(find "$XDG_STATE_HOME")"
"$VIEWSH" run --cow / --layer work -- sh -c 'echo new >f'
before=$(snapshot --exact "$XDG_STATE_HOME/viewsh/layers/work")
assert_contains "resolve" "$("$VIEWSH" resolve --cow / --layer work f)" "/layers/work/upper$W/f\$"
"$VIEWSH" show --cow / --layer work >"$T/out" || die "show"
assert_eq "the layer" "$before" "$(snapshot --exact "$XDG_STATE_HOME/viewsh/layers/work")"
refused 125 'was made for /, not for' sh -c "'$VIEWSH' show --cow '$W' --layer work >/dev/null"
# While a view works in it, too.
mkfifo go
"$VIEWSH" run --cow / --layer work -- sh -c 'echo newer >g; read -r x <go' &
view=$!
wait_for 20 test -e "$XDG_STATE_HOME/viewsh/layers/work/upper$W/g"
assert_contains "resolve" "$("$VIEWSH" resolve --cow / --layer work f)" "/layers/work/upper$W/f\$"
echo >go
wait $view || die "the view"
assert_contains "diff" "$("$VIEWSH" diff work)" "A $W/g"

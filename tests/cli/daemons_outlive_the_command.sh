#!/bin/bash
# A view lasts until its last process; with --kill-on-exit it ends with COMMAND.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkfifo go
echo real >f
cat >"$T/body.sh" <<'BODY'
setsid sh -c 'read -r x <go; echo late >f; kill -0 "$1" 2>/dev/null || echo alone >>f' sh $$ >/dev/null 2>&1 </dev/null &
exit 5
BODY
"$VIEWSH" run --cow / --layer t -- bash "$T/body.sh" &
view=$!
echo go >go # opens when the daemon reads
status=0
wait $view || status=$?
assert_eq "the command's status" 5 "$status"
# The view may end a moment after viewsh has given the status.
wait_for 20 sh -c "'$VIEWSH' run --cow / --layer t -- grep -q late '$W/f' 2>/dev/null"
assert_eq "real file" real "$(cat f)"
SECONDS=0
assert_status 3 "$VIEWSH" run --cow / --kill-on-exit -- sh -c 'sleep 300 >/dev/null 2>&1 & exit 3'
[ "$SECONDS" -lt 60 ] || die "--kill-on-exit waited"

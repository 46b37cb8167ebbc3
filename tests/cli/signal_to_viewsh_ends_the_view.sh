#!/bin/bash
# SIGTERM and SIGHUP to viewsh reach the command; the view ends with it, and its layer is whole.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkfifo ready
cat >"$T/body.sh" <<'BODY'
trap 'echo "$1" >got; exit 7' "$1"
echo "$$" >ready
while :; do sleep 0.05; done
BODY
for signal in TERM HUP; do
  "$VIEWSH" run --cow / --layer "t$signal" -- bash "$T/body.sh" "$signal" &
  view=$!
  read -r leader <ready
  kill "-$signal" "$view"
  status=0
  wait "$view" || status=$?
  assert_eq "status after $signal" 7 "$status"
  wait_for 20 eval '[ ! -d "/proc/$leader" ]'
  assert_eq "layer after $signal" "$signal" "$("$VIEWSH" run --cow / --layer "t$signal" -- cat got)"
done
# Nobody catches it: the command dies of it.
"$VIEWSH" run --cow / -- bash -c 'echo $$ >ready; while :; do sleep 0.05; done' &
view=$!
read -r leader <ready
kill -TERM "$view"
status=0
wait "$view" || status=$?
assert_eq "status" 143 "$status"
wait_for 20 eval '[ ! -d "/proc/$leader" ]'
[ ! -e got ] || die "the real directory was written to"

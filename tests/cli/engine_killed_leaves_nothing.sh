#!/bin/bash
# kill -9 of the engine: no process of the view survives it, and the layer can be read.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkfifo ready
cat >"$T/body.sh" <<'BODY'
echo kept >file
for i in 1 2 3; do (setsid sleep 1000 >/dev/null 2>&1 </dev/null &) done
sh -c 'sleep 1000 & sleep 1000' &
echo "$$" >ready
while :; do echo more >>log; mkdir -p d; rmdir d; done
BODY
"$VIEWSH" run --cow / --layer t -- bash "$T/body.sh" &
engine=$!
read -r leader <ready
mine() {
  local file pid
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && grep -qzxF "VIEWSH_TEST_DIR=$T" "$file" 2>/dev/null &&
      ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null
  done | grep -E 'sleep 1000|body\.sh'
}
wait_for 20 eval '[ "$(mine | grep -c "sleep 1000")" -gt 0 ]'
kill -KILL $engine
wait $engine 2>/dev/null
wait_for 20 eval '[ -z "$(mine)" ]'
[ ! -d "/proc/$leader" ] || grep -q '^State:.*Z' "/proc/$leader/status" || die "the leader lives"
assert_eq "the layer" kept "$("$VIEWSH" run --cow / --layer t -- cat file)"
assert_contains "diff" "$("$VIEWSH" diff t)" "$W/file"
"$VIEWSH" discard t >/dev/null || die "discard"
[ ! -e file ] || die "the real directory was written to"

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
# The view's processes by their command lines, compared as a whole: a search for a part of one
# would find the program that searches.
mine() {
  local file pid args
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    grep -qzxF "VIEWSH_TEST_DIR=$T" "$file" 2>/dev/null || continue
    grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null && continue
    args=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")
    case $args in
      'sleep 1000 ' | 'sh -c sleep 1000 & sleep 1000 ' | "bash $T/body.sh ") echo "$args" ;;
    esac
  done
}
wait_for 20 eval '[ "$(mine | grep -c "^sleep")" -ge 5 ]'
kill -KILL $engine
wait $engine 2>/dev/null
wait_for 20 eval '[ -z "$(mine)" ]'
[ ! -d "/proc/$leader" ] || grep -q '^State:.*Z' "/proc/$leader/status" || die "the leader lives"
assert_eq "the layer" kept "$("$VIEWSH" run --cow / --layer t -- cat file)"
assert_contains "diff" "$("$VIEWSH" diff t)" "$W/file"
"$VIEWSH" discard t >/dev/null || die "discard"
[ ! -e file ] || die "the real directory was written to"

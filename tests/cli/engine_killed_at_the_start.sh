#!/bin/bash
# kill -9 of the engine between the fork of COMMAND's process and its first trace: nothing is left. The
# moment is made long by strace, which holds the engine's PTRACE_SEIZE up.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace
cd "$W" || exit 1
strace -qq -o /dev/null -e trace=ptrace -e inject=ptrace:delay_enter=5000000:when=2 \
  "$VIEWSH" run --cow / --layer t -- sh -c 'echo started >started' &
tracer=$!
children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null; }
engine_of() { # the child of strace that is viewsh by now, and has forked
  local pid
  for pid in $(children_of $tracer); do
    [ -n "$(children_of "$pid")" ] && engine=$pid && command_process=$(children_of "$pid")
  done
  [ -n "${engine-}" ]
}
wait_for 20 engine_of
command_process=${command_process// /}
kill -KILL "$engine"
wait $tracer 2>/dev/null
ended() { [ ! -d "/proc/$command_process" ] || grep -q '^State:.*Z' "/proc/$command_process/status"; }
wait_for 20 ended
[ ! -e started ] || die "COMMAND ran without a view"
assert_eq "the layer" "still here" "$("$VIEWSH" run --cow / --layer t -- echo still here)"

#!/bin/bash
# The directories that a view needs for itself are not to be seen in it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
# The engine, whose id is in their names, is the parent of COMMAND.
own='ls -A "$XDG_RUNTIME_DIR" /dev/shm /tmp; find "$XDG_STATE_HOME" 2>/dev/null; echo "name: viewsh-$(id -u)-$PPID-"'
check() { # OPTION...
  local got name
  got=$("$VIEWSH" run "$@" -- sh -c "$own") || die "run $*"
  name=$(sed -n 's/^name: //p' <<<"$got")
  [ -n "$name" ] || die "run $*: $got"
  assert_lacks "seen with $*" "$(grep -v '^name: ' <<<"$got")" "$name"
}
for XDG_RUNTIME_DIR in "$XDG_RUNTIME_DIR" ""; do
  export XDG_RUNTIME_DIR
  check --cow /
  check --bind /usr:/opt/there/new
  check --tmpfs "$W/tmpfs" --hide "$W/home"
  # What is kept there works all the same.
  got=$("$VIEWSH" run --tmpfs "$W/tmpfs" -- sh -c "cd $W/tmpfs; echo x >f; pwd -P; ls; readlink /proc/self/cwd")
  assert_eq "the tmpfs" "$W/tmpfs f $W/tmpfs" "$(tr '\n' ' ' <<<"$got" | sed 's/ $//')"
done

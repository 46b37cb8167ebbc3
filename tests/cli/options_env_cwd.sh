#!/bin/bash
# --env, --unset, --clear-env, --cwd and the profile's env and cwd.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/there"
assert_eq "--env" 'one two' "$("$VIEWSH" run --env A=one --env 'B=two' -- sh -c 'echo $A $B')"
assert_eq "--unset" 'gone' "$(A=1 "$VIEWSH" run --unset A -- sh -c 'echo ${A-gone}')"
assert_eq "--clear-env" 'B=2' "$(A=1 "$VIEWSH" run --clear-env --env B=2 -- /usr/bin/env | grep -E '^[AB]=')"
assert_eq "--cwd" "$W/there" "$("$VIEWSH" run --cwd "$W/there" -- pwd)"
cat >"$T/p.yaml" <<YAML
viewsh: 1
env: {set: {COLOUR: green, REST: "\${HOME}/x"}, unset: [LOGNAME]}
cwd: there
YAML
cp "$T/p.yaml" "$W/p.yaml"
assert_eq "profile" "$W/there green $HOME/x none" \
  "$("$VIEWSH" run -p "$W/p.yaml" -- sh -c 'echo $(pwd) $COLOUR $REST ${LOGNAME-none}')"

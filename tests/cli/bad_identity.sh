#!/bin/bash
# Ids that can't be are refused where they were written; what is good is shown.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
for id in -1 4294967295 99999999999999999999 root 0x0 ''; do
  refused 125 '--uid.*must be a number from 0 to 4294967294' "$VIEWSH" run "--uid=$id" -- true
  refused 125 '--gid.*must be a number from 0 to 4294967294' "$VIEWSH" show "--gid=$id"
done
bad() { # PLACE-AND-TEXT IDENTITY
  printf 'viewsh: 1\nidentity: %s\n' "$2" >bad.yaml
  refused 125 "bad.yaml:$1" "$VIEWSH" check bad.yaml
}
bad '2:17: uid: must be a number .*4294967294' '{uid: 4294967295}'
bad '2:17: uid: must be a number .*bob' '{uid: bob}'
bad '2:17: gid: must be a number' '{gid: [0]}'
bad '2:20: groups: must be a list' '{groups: 0}'
bad '2:24: groups: must be a number' '{groups: [0, x]}'
bad '2:12: user: unknown key' '{user: 0}'
bad '2:11: identity: must be a map' 'root'
cat >good.yaml <<'YAML'
viewsh: 1
identity: {uid: 0, gid: 0, groups: [0, 27]}
YAML
cat >more.yaml <<'YAML'
viewsh: 1
extends: [./good.yaml]
identity: {gid: 5}
YAML
assert_contains show "$("$VIEWSH" show -p ./good.yaml)" '^identity +uid 0, gid 0, groups 0 27$'
assert_contains 'maps override' "$("$VIEWSH" show -p ./more.yaml)" '^identity +uid 0, gid 5, groups 0 27$'
"$VIEWSH" show -p ./good.yaml --yaml >again.yaml
assert_contains 'as a profile' "$("$VIEWSH" show -p ./again.yaml)" '^identity +uid 0, gid 0, groups 0 27$'
assert_contains json "$("$VIEWSH" show --fake-root --json | tr -d ' \n')" '"identity":\{"uid":0,"gid":0\}'
assert_eq 'an option over a profile' '3 5 5' "$("$VIEWSH" run -p ./good.yaml --uid 3 --gid 5 -- sh -c 'echo $(id -u) $(id -g) $(id -G)')"
refused 125 "can't be recorded" "$VIEWSH" run --uid 5 --learn l.yaml -- true

#!/bin/bash
# Layers edited by hand, cut off, of a newer version: a line for each problem, status 1; repairing
# keeps a copy of the log and says what it did.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo lower >old
mkdir dir && echo x >dir/x
"$VIEWSH" run --cow "$W" --layer t -- sh -c 'echo new >new; echo up >old; mv dir moved; rm moved/x' || die "a layer"
layer=$T/state/viewsh/layers/t
assert_eq "good" "t: good" "$("$VIEWSH" layers --verify)"
cp -a "$layer" "$T/good"
again() {
  rm -rf "$layer"
  cp -a "$T/good" "$layer"
}
bad() { # REGEX: verify tells it, status 1
  local out status=0
  out=$("$VIEWSH" layers --verify t) || status=$?
  assert_eq "status" 1 "$status"
  assert_contains "problem" "$out" "$1"
}
rm "$layer/upper/old"
bad 'old: is recorded, but upper/ doesn'
out=$("$VIEWSH" layers --repair t) || die "repair: $out"
assert_contains "repair" "$out" 'repaired: log: copied to .*log.backup'
assert_contains "repair" "$out" 'old: .*record dropped'
assert_eq "the lower shows" lower "$("$VIEWSH" run --cow "$W" --layer t -- cat old)"
again
sed -i '3s/./x/12' "$layer/log"
bad 'log: line 3 .*checksum'
refused 125 'log is damaged' "$VIEWSH" diff t
"$VIEWSH" layers --repair t >/dev/null || die "repair of the log"
"$VIEWSH" diff t >/dev/null || die "diff after repair"
again
truncate -s -30 "$layer/log"
bad 'log: '
"$VIEWSH" layers --repair t >/dev/null || die "repair of a cut log"
assert_eq "good" "t: good" "$("$VIEWSH" layers --verify)"
again
: >"$layer/log"
bad 'log: '
refused 125 'log' "$VIEWSH" run --cow "$W" --layer t -- true
again
sed -i '1s/1/2/' "$layer/layer"
bad 'format is version 2'
out=$("$VIEWSH" layers --repair t)
assert_eq "not for us to mend" 1 $?
assert_contains "newer" "$out" 'version 2'
again
chmod 500 "$layer"
rm "$layer/upper/new"
rm "$layer/upper/old"
refused 125 'nothing was repaired' "$VIEWSH" layers --repair t
chmod 700 "$layer"
"$VIEWSH" layers --verify --json t >"$T/json"
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))[0]["problems"]' "$T/json" || die json
refused 125 'no such layer' "$VIEWSH" layers --verify nolayer

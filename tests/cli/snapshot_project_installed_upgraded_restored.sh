#!/bin/bash
# A project's tree installed, remembered, upgraded and taken back; the state before is kept.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir app
echo base >app/config
install_version() { # VERSION: as an installer does, with files, links, modes and removed names
  "$VIEWSH" run --cow "$W" --layer t -- bash -c '
    set -e
    cd app
    rm -rf lib.new; mkdir -p lib.new/sub bin
    for i in $(seq 40); do echo "'"$1"' $i" >lib.new/sub/f$i; done
    echo "module '"$1"'" >lib.new/main; chmod 755 lib.new/main
    ln lib.new/main lib.new/also; ln -s sub/f1 lib.new/first
    rm -rf lib; mv lib.new lib
    echo "version '"$1"'" >>config
    ln -sf ../lib/main bin/app' || die "install $1"
}
install_version 1
first=$("$VIEWSH" run --cow "$W" --layer t -- sh -c 'cd app; find . | sort; cat config lib/main lib/also lib/sub/*; stat -c "%n %h %a %Y" lib/* config')
"$VIEWSH" snapshot t v1 >"$T/out" || die "snapshot"
assert_contains "snapshot" "$(cat "$T/out")" '^t: snapshot v1: [0-9]+ changes'
then=$("$VIEWSH" diff t)
install_version 2
"$VIEWSH" run --cow "$W" --layer t -- sh -c 'echo in place >>app/lib/main; chmod 700 app/lib/sub' || die "more"
assert_eq "diff of the snapshot" "$then" "$("$VIEWSH" diff t@v1)"
between=$("$VIEWSH" diff t@v1..)
assert_contains "diff to now" "$between" "^M .*/app/config"
assert_contains "diff to now" "$between" "^M .*/app/lib/sub/f7$"
assert_contains "patch" "$("$VIEWSH" diff --patch t@v1..)" '^\+version 2'
second=$("$VIEWSH" diff t)
"$VIEWSH" restore t v1 >"$T/out" || die "restore"
kept=$(grep -oE 'before-restore-[0-9-]+' "$T/out") || die "restore does not tell what it kept: $(cat "$T/out")"
assert_eq "as it was" "$first" "$("$VIEWSH" run --cow "$W" --layer t -- sh -c 'cd app; find . | sort; cat config lib/main lib/also lib/sub/*; stat -c "%n %h %a %Y" lib/* config')"
assert_eq "nothing differs" "" "$("$VIEWSH" diff t@v1..)"
"$VIEWSH" restore t "$kept" >/dev/null || die "restore of what was kept"
assert_eq "the upgrade again" "$second" "$("$VIEWSH" diff t)"
assert_eq "the lower" "base" "$(cat app/config)"
assert_contains "history" "$("$VIEWSH" snapshot t)" '^v1 +20'
assert_contains "history" "$("$VIEWSH" layers --history t)" "^$kept"
"$VIEWSH" layers --history --json | python3 -c '
import json, sys
snapshots = json.load(sys.stdin)[0]["snapshots"]
assert snapshots[0]["name"] == "v1" and snapshots[0]["changes"] > 40 and snapshots[0]["age"] >= 0' || die "json"
"$VIEWSH" snapshot --delete t v1 >/dev/null || die "delete"
assert_lacks "history" "$("$VIEWSH" snapshot t)" '^v1'
assert_eq "good" "t: good" "$("$VIEWSH" layers --verify)"
"$VIEWSH" discard t >/dev/null || die discard
refused 125 'no such layer' "$VIEWSH" snapshot t

#!/bin/bash
# A layer of another version, or a damaged one: refused with one line, and left as it is.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
"$VIEWSH" run --cow / --layer t -- sh -c 'echo kept >f' || die "a layer"
layer=$(find "$T/state" -type d -name t | head -1)
[ -n "$layer" ] || die "no directory of the layer under \$XDG_STATE_HOME"
versions=$(grep -rlIE '(version|format|viewsh)' "$layer" --exclude-dir=upper --exclude-dir=files 2>/dev/null | head -5)
[ -n "$versions" ] || die "the layer does not tell its version"
changed=0
for file in $versions; do
  if grep -qE '(version|format|layer)[": =]+[0-9]+' "$file"; then
    sed -E -i 's/((version|format|layer)[": =]+)[0-9]+/\1987/' "$file"
    changed=1
  fi
done
[ "$changed" = 1 ] || die "no version found in: $versions"
export SNAPSHOT_IGNORE='^(|lock)$' # a lock says nothing about the content
before=$(snapshot --exact "$layer")
refused 125 'version|format|987' "$VIEWSH" run --cow / --layer t -- true
refused 125 'version|format|987' "$VIEWSH" diff t
refused 125 'version|format|987' "$VIEWSH" commit t
assert_eq "left as it is" "$before" "$(snapshot --exact "$layer")"
assert_contains "layers marks it" "$("$VIEWSH" layers t)" "can't be used: .*987"
assert_contains "in JSON, too" "$("$VIEWSH" layers --json t)" '"error": ".*987'
assert_lacks "others aren't marked" "$("$VIEWSH" run --cow / --layer fine -- true && "$VIEWSH" layers fine)" "can't"

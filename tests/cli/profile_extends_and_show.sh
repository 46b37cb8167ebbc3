#!/bin/bash
# extends is merged first, lists append, maps override; show tells the effective view, also as YAML
# that gives the same view again, and as JSON.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/a" "$W/b" "$W/at" "$W/at2"
echo a >"$W/a/f"
echo b >"$W/b/f"
cat >"$W/base.yaml" <<'YAML'
viewsh: 1
name: base
env: {set: {ONE: base, TWO: base}}
mounts:
  - {type: bind, at: at, source: a}
YAML
cat >"$W/top.yaml" <<'YAML'
viewsh: 1
name: top
extends: [base]
env: {set: {TWO: top}}
mounts:
  - {type: bind, at: at2, source: b}
YAML
cd "$W" || exit 1
assert_eq "merged" "base top a b" \
  "$("$VIEWSH" run -p top.yaml -- sh -c 'echo $ONE $TWO $(cat at/f at2/f)')"
"$VIEWSH" show --yaml -p top.yaml >"$T/effective.yaml" || die "show --yaml"
assert_eq "shown and run again" "base top a b" \
  "$("$VIEWSH" run -p "$T/effective.yaml" -- sh -c 'echo $ONE $TWO $(cat at/f at2/f)')"
if command -v python3 >/dev/null; then
  "$VIEWSH" show --json -p top.yaml | python3 -m json.tool >/dev/null || die "show --json"
  for listing in layers profiles plugins doctor; do
    "$VIEWSH" $listing --json | python3 -m json.tool >/dev/null || die "$listing --json"
  done
fi
assert_contains "resolve" "$("$VIEWSH" resolve -p top.yaml "$W/at/f")" "$W/a/f"
assert_contains "resolve an option" "$("$VIEWSH" resolve --bind "$W/b:$W/at" "$W/at/f")" "$W/b/f"

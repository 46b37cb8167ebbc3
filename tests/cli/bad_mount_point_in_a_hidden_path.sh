#!/bin/bash
# A mount point inside a hidden path can't be: refused with its place, not silently dropped.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/secret/inside" "$W/src"
cd "$W" || exit 1
refused 125 'secret' "$VIEWSH" run --hide "$W/secret" --bind "$W/src:$W/secret/inside" -- true
printf 'viewsh: 1\nmounts:\n  - {type: hide, at: secret}\n  - {type: bind, at: secret/inside, source: src}\n' >p.yaml
refused 125 'p\.yaml:4:[0-9]+.*secret' "$VIEWSH" run -p p.yaml -- true
refused 125 'p\.yaml:4:[0-9]+.*secret' "$VIEWSH" check p.yaml

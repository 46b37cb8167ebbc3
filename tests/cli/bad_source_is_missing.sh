#!/bin/bash
# A source or a mount point that isn't there: the option or the place in the profile, status 125.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/at"
cd "$W" || exit 1
refused 125 'none' "$VIEWSH" run --bind "$W/none:$W/at" -- true
refused 125 'none' "$VIEWSH" run --merge "$W/at:$W/none:$W/at" -- true
refused 125 'none' "$VIEWSH" run --root "$W/none" -- true
printf 'viewsh: 1\nmounts:\n  - {type: bind, at: at, source: none}\n' >p.yaml
refused 125 'p\.yaml:3:[0-9]+.*none' "$VIEWSH" run -p p.yaml -- true
refused 125 'p\.yaml:3:[0-9]+.*none' "$VIEWSH" check p.yaml
refused 125 'bind' "$VIEWSH" run --bind onlyone -- true
refused 125 'tmpfs|size' "$VIEWSH" run --tmpfs "$W/at:size=many" -- true
refused 125 'cwd|none' "$VIEWSH" run --cwd "$W/none" -- true

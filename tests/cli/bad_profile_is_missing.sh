#!/bin/bash
# A profile that is not there: one line with its name, status 125.
. "$(dirname "$0")/../support/lib.sh"
needs_view
refused 125 'no-such-profile' "$VIEWSH" run -p no-such-profile -- true
refused 125 "$T/none.yaml" "$VIEWSH" run -p "$T/none.yaml" -- true
refused 125 'none.yaml' "$VIEWSH" check "$T/none.yaml"
printf 'viewsh: 1\nextends: [not-there]\n' >"$T/p.yaml"
refused 125 'p\.yaml:2:[0-9]+.*not-there' "$VIEWSH" run -p "$T/p.yaml" -- true
printf 'viewsh: 1\nextends: [q]\n' >"$T/p.yaml"
printf 'viewsh: 1\nextends: [p]\n' >"$T/q.yaml"
refused 125 'extends|itself|loop|cycle' "$VIEWSH" run -p "$T/p.yaml" -- true
chmod 0 "$T/q.yaml"
refused 125 'q\.yaml|permission' "$VIEWSH" run -p "$T/q.yaml" -- true

#!/bin/bash
# Wrong options and commands: one line, 125; help and version are status 0 on standard output.
. "$(dirname "$0")/../support/lib.sh"
needs_view
refused 125 'nosuch' "$VIEWSH" nosuch
refused 125 'nosuch' "$VIEWSH" run --nosuch -- true
refused 125 'bind' "$VIEWSH" run --bind
refused 125 'layer' "$VIEWSH" diff
refused 125 'no-such-layer' "$VIEWSH" diff no-such-layer
refused 125 'no-such-layer' "$VIEWSH" commit no-such-layer
refused 125 'no-such-layer' "$VIEWSH" discard no-such-layer
refused 125 'layer|cow' "$VIEWSH" run --layer x -- true
refused 125 'layer|name|\.\.' "$VIEWSH" run --cow / --layer ../evil -- true
"$VIEWSH" --help >"$T/out" && [ -s "$T/out" ] || die "--help"
for command in run try check show resolve profiles plugins doctor layers diff commit discard export import \
  snapshot restore; do
  "$VIEWSH" $command --help >"$T/out" 2>"$T/err" || die "$command --help"
  [ -s "$T/out" ] && [ ! -s "$T/err" ] || die "$command --help: nothing on standard output"
done
assert_contains "version" "$("$VIEWSH" --version)" '[0-9]+\.[0-9]+'

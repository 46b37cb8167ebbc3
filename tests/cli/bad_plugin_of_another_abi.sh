#!/bin/bash
# A plugin of another ABI, none at all, or no plugin: refused with a sentence that says what it wants.
. "$(dirname "$0")/../support/lib.sh"
needs_view
with() { printf 'viewsh: 1\nplugins: [{path: %s}]\n' "$1" >"$T/p.yaml"; }
with "$P/wrong_abi.so"
refused 125 'abi.*9999|9999.*abi' "$VIEWSH" run -p "$T/p.yaml" -- true
with "$T/none.so"
refused 125 'none\.so' "$VIEWSH" run -p "$T/p.yaml" -- true
echo text >"$T/text.so"
with "$T/text.so"
refused 125 'text\.so' "$VIEWSH" run -p "$T/p.yaml" -- true
printf 'viewsh: 1\nplugins: [{name: nosuchplugin}]\n' >"$T/p.yaml"
refused 125 'nosuchplugin' "$VIEWSH" run -p "$T/p.yaml" -- true

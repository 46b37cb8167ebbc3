#!/bin/bash
# A read-only or full state directory: one line, nothing lost; a view that needs no layer still runs.
. "$(dirname "$0")/../support/lib.sh"
needs_view
[ "$(id -u)" != 0 ] || skip "root may write everywhere"
cd "$W" || exit 1
"$VIEWSH" run --cow / --layer old -- sh -c 'echo kept >f' || die "a layer"
chmod -R a-w "$T/state"
refused 125 'state|layer|permission|write' "$VIEWSH" run --cow / --layer new -- sh -c 'echo ran >ran'
refused 125 "no place for changes: $T/state/viewsh: Permission denied; set XDG_STATE_HOME" "$VIEWSH" run --cow / -- sh -c 'echo ran >ran'
[ ! -e ran ] || die "the command ran for real"
assert_eq "an ephemeral view" x "$("$VIEWSH" run --tmpfs "$TMPDIR" -- echo x)"
chmod -R u+w "$T/state"
assert_eq "the layer" kept "$("$VIEWSH" run --cow / --layer old -- cat f)"
: >"$T/notadir"
refused 125 'notadir' env XDG_STATE_HOME="$T/notadir" "$VIEWSH" run --cow / --layer x -- true
# Full: a limit on the size of files stands for a disk that has no room.
status=0
(ulimit -f 64; trap '' XFSZ; "$VIEWSH" run --cow / --layer full -- sh -c 'head -c 1000000 /dev/zero >big' >"$T/out" 2>&1) || status=$?
[ "$status" != 0 ] || die "a file larger than allowed"
assert_eq "the layer opens" 1 "$("$VIEWSH" run --cow / --layer full -- sh -c 'ls big | wc -l')"

#!/bin/bash
# When nobody but servers is left in a view they are unmounted, and end; as long as there is somebody
# they serve him.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
export MIRROR_LOG=$T/log
got=$(in_view 30 <<'BODY'
"$M" "$PWD/src" mnt
mounted
echo daemon >mnt/a
BODY
) || die "status $?: $got"
assert_eq "the daemon's file" daemon "$(cat "$W/src/a")"
assert_eq "its end" 1 "$(grep -c destroy "$T/log")"
got=$(in_view 30 <<'BODY'
"$M" "$PWD/src" mnt
mounted
mkdir two
(setsid "$M" "$PWD/mnt" two -f &)
mounted two
(sleep 1; cat two/a >late; echo more >two/b) >/dev/null 2>&1 &
BODY
) || die "status $?: $got"
assert_eq "read when the command had ended" daemon "$(cat "$W/late")"
assert_eq "and written" more "$(cat "$W/src/b")"
# The signal that ends a server unmounts, too (libfuse says so by its status, 8).
got=$(in_view 30 <<'BODY'
mirror
cat mnt/a
kill "$s"
ended
grep -c ' fuse.fuse_mirror' /proc/mounts
BODY
)
assert_eq "ended by a signal" "$(printf 'daemon\nserver 8\n0')" "$got"

#!/bin/bash
# squashfuse in a view: an image that is only read.
. "$(dirname "$0")/../support/lib.sh"
need squashfuse mksquashfs
. "$support/fuse_programs.sh"
mksquashfs tree image -quiet >"$T/mk" 2>&1 || die "$(cat "$T/mk")"
in_view <<'BODY'
squashfuse image mnt || wrong "squashfuse: $?"
mounted mnt
shows mnt tree
[ "$(mnt/run)" = ran ] || wrong exec
! touch mnt/new 2>/dev/null || wrong "written to"
unmounts mnt squashfuse
BODY
by_profile fuse.squashfuse "$W/image" '' <<'BODY'
shows mnt tree
BODY

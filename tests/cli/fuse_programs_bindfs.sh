#!/bin/bash
# bindfs in a view: libfuse 3, a real directory behind it.
. "$(dirname "$0")/../support/lib.sh"
need bindfs
. "$support/fuse_programs.sh"
mkdir src
in_view <<'BODY'
bindfs src mnt || wrong "bindfs: $?"
mounted mnt
works mnt tree
cp -a tree src/t; shows mnt/t tree
[ "$(mnt/t/run)" = ran ] || wrong exec
unmounts mnt bindfs
BODY
diff -r --no-dereference tree src/t || die "what is on the host"
by_profile fuse.bindfs "$W/src" '' <<'BODY'
grep -q " $PWD/mnt fuse.bindfs " /proc/mounts || wrong "$(cat /proc/mounts)"
shows mnt/t tree
works mnt tree
BODY
by_profile fuse.bindfs "$W/src" ro <<'BODY'
shows mnt/t tree
! touch mnt/new 2>/dev/null || wrong "written to"
BODY

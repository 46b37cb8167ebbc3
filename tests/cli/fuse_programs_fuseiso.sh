#!/bin/bash
# fuseiso in a view: an ISO image by libfuse 2.
. "$(dirname "$0")/../support/lib.sh"
need fuseiso genisoimage
. "$support/fuse_programs.sh"
genisoimage -quiet -R -o image tree 2>/dev/null || die genisoimage
in_view <<'BODY'
fuseiso image mnt || wrong "fuseiso: $?"
mounted mnt
diff -r --no-dereference tree mnt || wrong "another tree"
cp -r mnt out && diff -r --no-dereference tree out || wrong "cp -r"
unmounts mnt fuseiso
BODY
by_profile fuse.fuseiso "$W/image" '' <<'BODY'
shows mnt tree
BODY

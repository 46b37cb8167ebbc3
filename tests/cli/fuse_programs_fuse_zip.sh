#!/bin/bash
# fuse-zip in a view: a zip archive that is written to.
. "$(dirname "$0")/../support/lib.sh"
need fuse-zip zip unzip
. "$support/fuse_programs.sh"
(cd tree && zip -qry ../image.zip .) || die zip
in_view <<'BODY'
fuse-zip image.zip mnt || wrong "fuse-zip: $?"
mounted mnt
diff -r --no-dereference tree mnt || wrong "another tree"
works mnt tree -r
echo text >mnt/new || wrong "written"
unmounts mnt fuse-zip
BODY
assert_eq 'in the archive' text "$(unzip -p image.zip new)"

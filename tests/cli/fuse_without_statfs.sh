#!/bin/bash
# A FUSE server that has no statfs: libfuse says that there are no blocks. It is written to all the same.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
export MIRROR_LACKS=statfs
got=$(in_view 30 <<'BODY'
mirror
stat -f -c '%b blocks' mnt
head -c 300000 /dev/zero >mnt/a || echo "not written"
truncate -s 500000 mnt/a || echo "not longer"
stat -c %s src/a
BODY
)
assert_eq "what was written" "$(printf '0 blocks\n500000')" "$got"

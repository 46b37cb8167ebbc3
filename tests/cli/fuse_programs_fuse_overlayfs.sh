#!/bin/bash
# fuse-overlayfs in a view: libfuse 3, its low-level interface.
. "$(dirname "$0")/../support/lib.sh"
need fuse-overlayfs
. "$support/fuse_programs.sh"
mkdir upper work && cp -a tree lower
in_view <<'BODY'
fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work mnt || wrong "fuse-overlayfs: $?"
mounted mnt
shows mnt tree
works mnt tree
rm mnt/none && echo more >>mnt/a || wrong "changes"
[ ! -e mnt/none ] && [ "$(cat mnt/a)" = "$(printf 'hello\nmore')" ] || wrong "what was changed"
unmounts mnt fuse-overlayfs
BODY
diff -r --no-dereference tree lower || die "below was changed"

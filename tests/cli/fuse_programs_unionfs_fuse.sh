#!/bin/bash
# unionfs-fuse in a view: one directory over another that is only read.
. "$(dirname "$0")/../support/lib.sh"
need unionfs
. "$support/fuse_programs.sh"
mkdir upper && cp -a tree lower
in_view <<'BODY'
unionfs -o cow "$PWD/upper=RW:$PWD/lower=RO" mnt || wrong "unionfs: $?"
mounted mnt
shows mnt tree
works mnt tree
rm mnt/none && echo more >>mnt/a || wrong "changes"
[ ! -e mnt/none ] && [ "$(cat mnt/a)" = "$(printf 'hello\nmore')" ] || wrong "what was changed"
unmounts mnt unionfs
BODY
diff -r --no-dereference tree lower || die "below was changed"
by_profile fuse.unionfs "$W/upper=RW" cow <<'BODY'
works mnt tree
BODY

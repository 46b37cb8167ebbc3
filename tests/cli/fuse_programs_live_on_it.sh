#!/bin/bash
# What lives on a FUSE mount: bash, python, a compiler, a database; an image file on it that is
# mounted in turn; a copy-on-write view over it.
. "$(dirname "$0")/../support/lib.sh"
need bindfs cc python3 sqlite3 mkfs.ext4 e2fsck debugfs
. "$support/fuse_programs.sh"
mkdir src inner
cp -L "$(command -v bash)" src/shell
printf '#include <stdio.h>\nint main(void) { puts("compiled"); return 0; }\n' >src/p.c
printf 'import json\nopen("out.json", "w").write(json.dumps([1, 2]))\nprint(json.load(open("out.json")))\n' >src/p.py
truncate -s 16M src/image
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" src/image || die mkfs
in_view <<'BODY'
bindfs src mnt || wrong "bindfs: $?"
mounted mnt
cd mnt || wrong cd
[ "$(./shell -c 'echo $((6 * 7)) >o && cat o && rm o')" = 42 ] || wrong bash
cc -c p.c && cc -o p p.o && [ "$(./p)" = compiled ] || wrong cc
[ "$(python3 p.py)" = '[1, 2]' ] || wrong python
sqlite3 db 'create table t(a); begin; insert into t values (1), (2); commit; delete from t where a = 1;' || wrong sqlite3
[ "$(sqlite3 db 'pragma integrity_check; select a from t')" = "$(printf 'ok\n2')" ] || wrong "the database"
cd ..
mount -t ext4 mnt/image inner || wrong "the image"
cp -a tree inner/t && diff -r --no-dereference tree inner/t || wrong "in the image"
! umount mnt 2>/dev/null || wrong "in use, and taken away"
umount inner || wrong "umount inner"
unmounts mnt bindfs
BODY
e2fsck -fn src/image >"$T/fsck" 2>&1 || die "e2fsck: $(cat "$T/fsck")"
assert_eq 'in the image' hello "$(debugfs -R 'cat t/a' src/image 2>/dev/null)"
assert_eq 'the database' 2 "$(sqlite3 src/db 'select a from t')"

# The view is a copy on write of all, and a FUSE mount in it is not.
in_view --cow / <<'BODY'
bindfs src mnt || wrong "bindfs: $?"
mounted mnt
echo new >mnt/only && echo changed >src/p.py || wrong "written"
[ "$(cat src/only mnt/p.py)" = "$(printf 'new\nchanged')" ] || wrong "another content"
unmounts mnt bindfs
BODY
[ ! -e src/only ] || die "what is below"

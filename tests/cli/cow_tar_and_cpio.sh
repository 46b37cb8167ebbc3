#!/bin/bash
# tar and cpio, in and out: modes, times, links, sparse files, long and odd names.
. "$(dirname "$0")/../support/lib.sh"
need tar cpio gzip
mkdir -p "$W/tree/a/b/c" "$W/tree/empty"
for i in $(seq 1 60); do echo "content $i" >"$W/tree/a/f$i"; done
ln "$W/tree/a/f1" "$W/tree/a/b/hard"
ln -s ../f2 "$W/tree/a/b/soft"
mkfifo "$W/tree/fifo"
truncate -s 2M "$W/tree/sparse"
echo end | dd of="$W/tree/sparse" bs=1 seek=1M conv=notrunc status=none
touch "$W/tree/$(printf 'odd \n name')" "$W/tree/$(printf 'n%.0s' $(seq 1 200))"
chmod 4711 "$W/tree/a/f3"
chmod 0 "$W/tree/a/f4"
chmod u+r "$W/tree/a/f4"
find "$W/tree" -exec touch -h -d 2002-02-02T02:02:02 {} +
# The archive has inode numbers in it.
export SNAPSHOT_VOLATILE='all\.cpio$'
compare <<'BODY'
set -e
tar cf all.tar --sort=name tree
tar czSf all.tgz --sort=name tree
mkdir one two three
tar xpf all.tar -C one
tar xzpSf all.tgz -C two
tar tvf all.tar | wc -l
diff -r --no-dereference one/tree/a two/tree/a && echo same
stat -c '%n %h' one/tree/a/f1
(cd tree && find . -depth -print0 | sort -z | cpio -o0 --quiet -H newc) >all.cpio
(cd three && cpio -idm --quiet <../all.cpio)
stat -c '%b' two/tree/sparse
tar cf again.tar --sort=name -C one tree && cmp all.tar again.tar && echo "same archive"
rm -rf one tree/a/b
tar xf all.tar tree/a/b
tar rf all.tar three/tree/a/f5 && tar --delete -f all.tar tree/a/f6
mkdir four && tar xf all.tar -C four --overwrite && tar xf all.tar -C four --recursive-unlink
BODY

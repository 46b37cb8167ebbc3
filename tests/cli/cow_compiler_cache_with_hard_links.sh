#!/bin/bash
# A compiler cache that keeps its results as hard links: links stay links, counts stay right.
. "$(dirname "$0")/../support/lib.sh"
need gcc
mkdir "$W/cache" "$W/src"
echo 'int main(void) { return 21; }' >"$W/src/a.c"
echo cached >"$W/cache/entry"
ln "$W/cache/entry" "$W/src/entry"
export SNAPSHOT_IGNORE='home/|ccache/' SNAPSHOT_VOLATILE='t\.tar$'
compare <<'BODY'
set -e
gcc -c src/a.c -o cache/a.o
ln cache/a.o src/a.o
stat -c '%n %h' cache/a.o src/a.o cache/entry src/entry
gcc src/a.o -o prog && { ./prog || echo $?; }
echo more >>src/entry; cat cache/entry; stat -c %h cache/entry
ln -f cache/a.o src/b.o; stat -c %h src/b.o
rm src/a.o; stat -c %h cache/a.o
cp -al cache linked; stat -c %h linked/entry; mv linked moved; stat -c %h cache/entry
[ src/entry -ef cache/entry ] && [ moved/a.o -ef src/b.o ] && echo same
tar cf t.tar src cache moved; mkdir x; tar xf t.tar -C x; stat -c '%n %h' x/src/entry x/moved/a.o
if command -v ccache >/dev/null; then
  export CCACHE_DIR=$PWD/ccache CCACHE_HARDLINK=1 CCACHE_NOCOMPRESS=1
  ccache gcc -c src/a.c -o one.o; ccache gcc -c src/a.c -o two.o; cmp one.o two.o
  rm one.o two.o
fi
BODY

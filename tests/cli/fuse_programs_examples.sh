#!/bin/bash
# libfuse's own examples in a view, compiled: passthrough, passthrough_fh, passthrough_ll, hello,
# hello_ll.
. "$(dirname "$0")/../support/lib.sh"
need cc pkg-config
. "$support/fuse_programs.sh"
examples=/usr/share/doc/libfuse3-dev/examples
pkg-config --exists fuse3 && [ -f "$examples/hello.c" ] || skip "libfuse3-dev is not installed"
for one in hello hello_ll passthrough passthrough_fh passthrough_ll; do
  # shellcheck disable=SC2046  # words
  cc -Wno-all -o "$one" "$examples/$one.c" $(pkg-config --cflags --libs fuse3) 2>"$T/cc" || die "$one: $(cat "$T/cc")"
done
in_view <<'BODY'
for one in hello hello_ll; do
  ./$one mnt || wrong "$one: $?"
  mounted mnt
  [ "$(cat mnt/hello)" = 'Hello World!' ] || wrong "$one: $(ls mnt)"
  unmounts mnt $one
done
mkdir work
for one in passthrough passthrough_fh; do
  ./$one mnt || wrong "$one: $?"
  mounted mnt
  works "mnt$PWD/work" tree -r # they set no times, compiled like this
  cp -a tree "work/$one"; shows "mnt$PWD/work/$one" tree
  unmounts mnt $one
done
# Its nodes are addresses, which it gives to others when it was told to forget them.
mkdir ll
./passthrough_ll -o "source=$PWD/ll" mnt || wrong "passthrough_ll: $?"
mounted mnt
works mnt tree
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt passthrough_ll
diff -r --no-dereference tree ll/t || wrong "what is on the host"
BODY

#!/bin/bash
# Who reads and writes different files of a server that takes its time, but does several things at
# once, doesn't wait for others.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse_raw.sh"
got=$(in_view <<'BODY'
raw read 0.2
eight() {
  local i begin
  begin=$(ms)
  for i in 1 2 3 4 5 6 7 8; do eval "$1" & all[$i]=$!; done
  wait "${all[@]}"
  echo "$2 $(($(ms) - begin))"
}
one() {
  local i=0 begin
  begin=$(ms)
  eval "$1"
  echo "one_$2 $(($(ms) - begin))"
}
read='cat mnt/f$i >"$TMPDIR/out$i"'
add='echo more$i >>mnt/f$i'
one "$read" read; eight "$read" read
one "$add" add; eight "$add" add
cat "$TMPDIR"/out[1-8]; cat mnt/f?
umount mnt && ended
BODY
) || die "$got"
expected=$(for i in 1 2 3 4 5 6 7 8; do echo "content of f$i"; done
  for i in 0 1 2 3 4 5 6 7 8; do printf 'content of f%d\nmore%d\n' $i $i; done
  echo "content of f9
server 0")
assert_eq contents "$expected" "$(grep -v '^[a-z_]* [0-9]*$' <<<"$got"; echo "server 0")"
took() { sed -n "s/^$1 //p" <<<"$got"; }
for what in read add; do
  # One after the other it would be eight times as long.
  [ "$(took $what)" -lt $((4 * $(took one_$what))) ] || die "$what: one $(took one_$what) ms, eight $(took $what) ms"
done

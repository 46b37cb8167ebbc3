#!/bin/bash
# ext2, ext3 and ext4 images of several kinds, read-only: the tree that was put in. A journal that was not
# replayed is told; programs run from an image; a copy-on-write view over it keeps what changes.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4
cd "$W" || exit 1
mkdir -p tree/deep/er mnt
cp /bin/echo tree/prog
printf '#!/bin/sh\necho script $1\n' >tree/run && chmod 755 tree/run
head -c 3000000 /dev/urandom >tree/large
truncate -s 5M tree/sparse && echo end >>tree/sparse
ln tree/large tree/deep/second
ln -s ../large tree/deep/link
ln -s "$(printf 'x%.0s' $(seq 200))" tree/slow-link
for i in $(seq 300); do echo "$i" >"tree/deep/er/name-$i"; done
mkfifo tree/fifo
chmod 640 tree/deep/er/name-7
touch -d '2001-02-03 04:05:06.789' tree/run
list() { (cd "$1" && find . -path './lost+found' -prune -o -printf '%p %y %m %n %l %Ts\n' | grep -v '^\. ' | sort); }
list tree >expected
for kind in "ext2 -b 1024" "ext3" "ext4" "ext4 -O ^extent,^64bit" "ext4 -O inline_data" "ext4 -b 1024 -O metadata_csum"; do
  rm -f image
  # shellcheck disable=SC2086 # words
  "mkfs.${kind%% *}" -q -F -E root_owner="$(id -u):$(id -g)" -d tree ${kind#"${kind%% *}"} image 24M >"$T/err" 2>&1 || die "$kind: $(cat "$T/err")"
  for type in auto "${kind%% *}"; do
    "$VIEWSH" run --mount "$type:image:$W/mnt:ro" -- bash -c '
      diff -r --no-dereference --exclude=lost+found --exclude=fifo tree mnt || exit 1
      [ "$(mnt/prog ran)" = ran ] && [ "$(mnt/run it)" = "script it" ] || exit 2
      cd mnt/deep/er && [ "$(readlink /proc/self/cwd)" = "$0/mnt/deep/er" ] || exit 3
      [ "$(stat -f -c %T .)" = ext2/ext3 ] && findmnt -n -o FSTYPE -T . | grep -q ^ext || exit 4
      echo x 2>/dev/null >new && exit 5; exit 0' "$W" || die "$kind as $type: $?"
    "$VIEWSH" run --mount "$type:image:$W/mnt:ro" -- bash -c "$(declare -f list); list mnt" >got
    diff expected got || die "$kind as $type: other names, types, modes, links or times"
  done
done
sum=$(sha256sum <image)
"$VIEWSH" run --mount "auto:image:$W/mnt:ro" --cow "$W/mnt" -- bash -c 'cd mnt && echo more >>run && rm deep/link &&
  mv deep moved && mkdir deep && [ "$(cat moved/er/name-9)" = 9 ] && [ "$(ls deep | wc -l)" = 0 ] &&
  [ "$(tail -n 1 run)" = more ]' || die "copy-on-write over an image"
assert_eq "the image" "$sum" "$(sha256sum <image)"
# An image at an offset, and one inside another.
{ head -c 32768 /dev/zero; cat image; } >shifted
assert_eq "offset=" 9 "$("$VIEWSH" run --mount "ext4:shifted:$W/mnt:offset=32K" -- cat mnt/deep/er/name-9)"
mkdir outer && cp image outer/inner.img
mkfs.ext4 -q -F -d outer big 64M >/dev/null 2>&1 || die "an image of an image"
assert_eq "an image in an image" 9 "$("$VIEWSH" run --mount "ext4:big:$W/mnt" --mount "ext4:$W/mnt/inner.img:$W/outer" -- cat outer/deep/er/name-9)"
refused() { # REGEX OPTION...
  local want=$1 out status=0
  shift
  out=$("$VIEWSH" run "$@" -- true 2>&1) || status=$?
  assert_eq "exit status: $out" 125 "$status"
  assert_eq "one line: $out" 1 "$(wc -l <<<"$out")"
  assert_contains "refused" "$out" "$want"
}
refused 'exclude each other' --mount "ext4:image:$W/mnt:rw,ro"
refused 'unknown option' --mount "ext4:image:$W/mnt:nonsense"
head -c 5000 image >cut
refused 'cut: ' --mount "ext4:cut:$W/mnt"
head -c 100000 /dev/urandom >noise
refused 'noise: ' --mount "auto:noise:$W/mnt"
refused 'noise: ' --mount "ext4:noise:$W/mnt"

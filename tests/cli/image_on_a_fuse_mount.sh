#!/bin/bash
# An image on a FUSE mount of the view: when the view ends what is in it is brought to the server
# before that ends.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need mkfs.ext4 debugfs e2fsck bindfs mountpoint
. "$support/fuse_programs.sh"
mkdir src m n
make() { # IMAGE SIZE TYPE
  rm -f "$1"
  truncate -s "$2" "$1"
  "mkfs.$3" -qF -E root_owner="$(id -u):$(id -g)" "$1" || die mkfs
}
kept() { # WHAT: the file f is in the image, which is in order
  assert_eq "$1: the image" '' "$(e2fsck -fn src/d.img 2>&1 | grep -vE '^(e2fsck|Pass|src/d.img: [0-9]+/)')"
  assert_eq "$1: what was written" "$(seq 20000 | md5sum)" "$(debugfs -R 'cat f' src/d.img 2>/dev/null | md5sum)"
}
view() { # WHAT <body
  { cat && echo 'exit 0'; } >"$T/body.sh"
  local status=0 out
  out=$(timeout 60 "$VIEWSH" run --bind "$T/passwd:/etc/passwd" --allow mount -- bash "$T/body.sh" 2>&1) || status=$?
  assert_eq "$1: status" 0 "$status"
  assert_eq "$1: output" '' "$out"
}

make src/d.img 16M ext4
view daemon <<'BODY'
bindfs --no-allow-other src m || exit 3
mount m/d.img n || exit 4
seq 20000 >n/f
BODY
kept daemon
make src/d.img 900K ext2
view 'in the foreground' <<'BODY'
bindfs -f --no-allow-other src m &
until mountpoint -q m; do sleep 0.05; done
mount m/d.img n || exit 4
seq 20000 >n/f
BODY
kept 'in the foreground'
make src/d.img 16M ext4
view 'its mount taken away' <<'BODY'
bindfs --no-allow-other src m || exit 3
mount m/d.img n || exit 4
umount -l m || exit 5
seq 20000 >n/f
BODY
kept 'its mount taken away'

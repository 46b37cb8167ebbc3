#!/bin/bash
# The lower is a mount of its own, of the file system that the layer is on: files have the same
# device number, and rename(2) says EXDEV all the same. commit takes back what it had renamed by then
# and copies, also where only a directory below is such a mount.
LIMIT=100
. "$(dirname "$0")/../support/lib.sh"
needs_view
need unshare perl
bind_mount() { perl -e 'exit(syscall(165, $ARGV[0], $ARGV[0], 0, 4096, 0) == 0 ? 0 : 1)' "$1"; }
unshare -cm --keep-caps bash -c "$(declare -f bind_mount); bind_mount '$W'" 2>/dev/null ||
  skip "no mounts in a user namespace here"

make_tree() {
  rm -rf "$W/input"
  mkdir -p "$W/input/sub/deep" "$W/input/old"
  for i in $(seq 30); do
    echo "$i" >"$W/input/f$i"
    echo "$i" >"$W/input/sub/s$i"
  done
  echo x >"$W/input/old/x"
  find "$W/input" -exec touch -d @1400000000 {} +
}
cat >"$T/change.sh" <<'B'
set -e
cd "$1"
for i in f? sub/s?; do echo more >>"$i"; done
rm f1? sub/s1?
for i in 1 2 3; do echo new >"n$i"; echo new >"sub/deep/n$i"; done
mv old older
chmod 600 f20 sub/s20
ln n1 n1b
B
digest() { (cd "$1" && find . -type f -printf '%p %m %n ' -exec sha256sum {} \; -o -printf '%p %y %m\n' | LC_ALL=C sort); }
make_tree
cp -a "$W/input" "$T/native"
bash "$T/change.sh" "$T/native"
digest "$T/native" >"$T/expected"

commit_both() {
  local mount tree
  for mount in . sub; do
    tree=$W/tree-of-$mount
    cp -a "$W/input" "$tree"
    bind_mount "$tree/$mount" || die "mount"
    cd "$tree" || exit 1 # by the path that goes over the mount
    : >"$XDG_STATE_HOME/probe"
    assert_eq "devices" "$(stat -c %d "$tree/$mount")" "$(stat -c %d "$XDG_STATE_HOME")"
    perl -e 'use Errno; exit(!rename($ARGV[0], $ARGV[1]) && $!{EXDEV} ? 0 : 1)' \
      "$XDG_STATE_HOME/probe" "$tree/$mount/probe" || die "it isn't apart"
    "$VIEWSH" run --cow "$tree" --layer k -- bash "$T/change.sh" "$tree" || die "the changes"
    "$VIEWSH" commit k >"$T/out" 2>&1 || die "$mount: commit: $(cat "$T/out")"
    digest "$tree" | diff "$T/expected" - || die "$mount: not what the commands make natively"
    [ ! -e "$XDG_STATE_HOME/viewsh/layers/k" ] || die "$mount: the layer is still there"
    [ -z "$(find "$tree" -name '.viewsh*')" ] || die "$mount: names of the commit are left"
  done
}
export T W
unshare -cm --keep-caps bash -c "$(declare -f); commit_both"

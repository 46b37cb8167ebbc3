#!/bin/bash
# The layer is on another file system than what it is over: commit can't rename or link files out of
# it, and copies them. The tree is the same as always; what is killed is resumed or taken back.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
need setfattr getfattr
[ -w /dev/shm ] || skip "there is no /dev/shm"
XDG_STATE_HOME=$(mktemp -d /dev/shm/viewsh-state.XXXXXX) || skip "/dev/shm takes no directory"
export XDG_STATE_HOME
trap 'chmod -R u+rwX "$XDG_STATE_HOME"; rm -rf "$XDG_STATE_HOME"' EXIT
[ "$(stat -c %d "$XDG_STATE_HOME")" != "$(stat -c %d "$W")" ] ||
  skip "the temporary directory is on /dev/shm, too"

# A kernel before 6.6 keeps no user.* on tmpfs.
xattr() { setfattr "$@"; }
: >"$XDG_STATE_HOME/probe"
: >"$W/probe"
if ! setfattr -n user.k -v v "$XDG_STATE_HOME/probe" "$W/probe" 2>/dev/null; then
  echo "no extended attributes here: not looked at"
  xattr() { :; }
fi
rm "$XDG_STATE_HOME/probe" "$W/probe"
export -f xattr

mkdir "$W/tree"
cd "$W/tree" || exit 1
mkdir -p d/deep gone/deep moved closed
for i in $(seq 60); do echo "$i" >"d/$i"; done
for i in f g h; do echo "$i" >"$i"; done
ln f d/f2
ln g d/g2
ln h d/h2
xattr -n user.old -v stays f
xattr -n user.old -v goes g
echo gone >gone/deep/file
echo m >moved/m
echo l >closed/l
chmod 555 closed
truncate -s 4M holes
printf middle | dd of=holes bs=1 seek=2M conv=notrunc status=none
find . -exec touch -h -d @1400000000 {} +
cat >"$T/change.sh" <<'B'
set -e
cd "$1"
for i in d/?; do echo more >>"$i"; done
rm d/1?
for i in $(seq 40); do echo "$i" >"new$i"; done
ln new1 new-one; ln new1 d/new-one          # hard links of what is new
echo both >>f                                # by one name of two
rm g; echo apart >g                          # one of two names is another file
chmod 600 h; xattr -n user.new -v "v w" h    # attributes of an inode that stays
xattr -n user.new -v 1 new2; xattr -n user.new -v 2 d
xattr -x user.old f || true
rm -r gone; mkdir gone; echo g >gone/g
mv moved elsewhere; mv d/20 elsewhere/
ln -s f link; mkfifo fifo; : >secret; chmod 0 secret; mkdir -m 2775 group
chmod 755 closed; echo l2 >>closed/l; chmod 555 closed
truncate -s 32M sparse; printf end >>sparse
printf x | dd of=holes bs=1 seek=1M conv=notrunc status=none
chmod 640 d/2; touch -d @1300000000 d/3
find . ! -type d -exec touch -h -d @1500000000.123456789 {} +
touch -d @1200000000.5 d/deep
B
cp -a "$W/tree" "$T/input"
digest() { # names, types, modes, links, sizes, times but those of directories and attributes
  (
    cd "$1" || exit 1
    find . \( -type d -printf '%p d %m\n' \) -o -printf '%p %y %m %n %s %T@ %l\n' | LC_ALL=C sort
    stat -c '%n %y' d/deep
    find . -type f -readable -exec sha256sum {} + | LC_ALL=C sort
    find . -type f -links +1 -printf '%i %p\n' | LC_ALL=C sort -k2 |
      awk '{ if (!($1 in first)) first[$1] = $2; print "same", $2, first[$1] }'
    getfattr -dR -m '^user\.' . 2>/dev/null
    # Holes are holes, to the kilobytes that a file system rounds up to.
    find . -name sparse -printf '%p %k\n' -o -name holes -printf '%p %k\n' |
      awk '{ print $1, $2 < 300 ? "few blocks" : $2 " blocks" }'
  )
}
again() { # the input with the layer over it
  chmod -R u+rwX "$W/tree"
  rm -r "$W/tree"
  cp -a "$T/input" "$W/tree"
  [ ! -e "$XDG_STATE_HOME/viewsh/layers/t" ] || "$VIEWSH" discard t >/dev/null || die "discard"
  "$VIEWSH" run --cow "$W/tree" --layer t -- bash "$T/change.sh" "$W/tree" >"$T/out" 2>&1 ||
    die "the changes: $(cat "$T/out")"
}
tidy() {
  [ ! -e "$XDG_STATE_HOME/viewsh/layers/t" ] || die "$1: the layer is still there"
  [ -z "$(find "$W/tree" -name '.viewsh*')" ] || die "$1: names of the commit are left"
  [ -z "$(ls -A "$XDG_STATE_HOME/viewsh/layers")" ] || die "$1: something is left of the layer"
}

bash "$T/change.sh" "$W/tree" 2>/dev/null
digest "$W/tree" >"$T/expected"
digest "$T/input" >"$T/before"
again
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
from=$(milliseconds)
"$VIEWSH" commit t >"$T/out" 2>&1 || die "commit: $(cat "$T/out")"
took=$(($(milliseconds) - from))
digest "$W/tree" | diff "$T/expected" - || die "not what the commands make natively"
tidy "commit"

# Killed at moments all over it.
resumed=0 undone=0 rounds=${ROUNDS:-12}
for ((r = 0; r < rounds; ++r)); do
  again
  "$VIEWSH" commit t >/dev/null 2>&1 &
  pid=$!
  at=$((took * 1000 * r / rounds))
  sleep "$((at / 1000000)).$(printf %06d $((at % 1000000)))"
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  if "$VIEWSH" layers | grep -q '^t .*cut short'; then
    if [ $((r % 2)) = 0 ]; then
      resumed=$((resumed + 1))
      "$VIEWSH" commit --resume t >"$T/out" 2>&1 || die "round $r: resume: $(cat "$T/out")"
    elif "$VIEWSH" commit --undo t >"$T/out" 2>&1; then
      undone=$((undone + 1))
      digest "$W/tree" | diff "$T/before" - || die "round $r: undone, and not as before"
      "$VIEWSH" commit t >"$T/out" 2>&1 || die "round $r: after undo: $(cat "$T/out")"
    else
      assert_contains "round $r" "$(cat "$T/out")" 'commit --resume t cleans up'
      "$VIEWSH" commit --resume t >"$T/out" 2>&1 || die "round $r: resume: $(cat "$T/out")"
    fi
  elif [ -e "$XDG_STATE_HOME/viewsh/layers/t" ]; then
    digest "$W/tree" | diff "$T/before" - || die "round $r: not begun, and not as before"
    "$VIEWSH" commit t >"$T/out" 2>&1 || die "round $r: anew: $(cat "$T/out")"
  fi
  digest "$W/tree" | diff "$T/expected" - || die "round $r: not what was committed"
  "$VIEWSH" layers >/dev/null
  tidy "round $r"
done
echo "$rounds rounds: resumed $resumed, undone $undone"

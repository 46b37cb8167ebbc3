#!/bin/bash
# State on a file system without extended attributes, one that is read-only, full, or has noatime: a clear
# line, and nothing is lost. Mounted in a user namespace.
. "$(dirname "$0")/../support/lib.sh"
needs_view
unshare -Urm true 2>/dev/null || skip "no user namespaces here"
cd "$W" || exit 1
export T W VIEWSH
for name in ramfs noatime full; do
  mkdir -p "st/$name" "lower/$name"
  (cd "lower/$name" && echo plain >plain && echo tagged >tagged && mkdir d && echo in >d/in &&
    setfattr -n user.tag -v kept tagged) || skip "no extended attributes here either"
done
cat >"$T/body.sh" <<'BODY'
die() { echo "FAIL: $*" && exit 1; }
on() { # NAME MOUNT-OPTION... : the state goes to a new file system, which stays mounted
  name=$1 && shift
  mount "$@" none "$W/st/$name" && mkdir -m 700 "$W/st/$name/viewsh" || exit 77
  export XDG_STATE_HOME=$W/st/$name
  cd "$W/lower/$name" || exit 1
}
view() { "$VIEWSH" run --cow "$PWD" --layer l -- "$@"; }

on ramfs -t ramfs
out=$(view sh -c 'echo more >>plain; echo new >made; rm d/in; echo more >>tagged' 2>&1) &&
  die "a file lost its attributes: $out"
[[ $out == *tagged*"not supported"* ]] || die "refused how? $out"
view getfattr --only-values -n user.tag tagged | grep -qx kept || die "the attribute, in the view"
"$VIEWSH" layers --verify l >/dev/null || die "verify"
"$VIEWSH" snapshot l s >/dev/null && view rm plain && "$VIEWSH" restore l s >/dev/null || die "snapshot"
"$VIEWSH" commit l >/dev/null || die "commit"
[ "$(cat plain made tagged; ls d)" = "$(printf 'plain\nmore\nnew\ntagged\n')" ] || die "committed: $(cat plain made tagged)"
getfattr --only-values -n user.tag tagged | grep -qx kept || die "the attribute, afterwards"

on noatime -t tmpfs -o noatime
view sh -c 'cat plain >/dev/null; echo more >>plain; mv d e' || die "noatime"
"$VIEWSH" layers --verify l >/dev/null || die "verify"
"$VIEWSH" commit l >/dev/null || die "commit with noatime"
[ "$(cat plain e/in)" = "$(printf 'plain\nmore\nin')" ] || die "committed with noatime"

on full -t tmpfs -o size=400k
out=$(view sh -c 'echo more >>plain; head -c 1000000 /dev/zero >big' 2>&1) && die "more than there is room for"
[[ $out == *"No space left on device"* ]] || die "full how? $out"
view sh -c 'rm big && echo again >>plain && rm d/in' || die "work after it was full"
"$VIEWSH" layers --verify l >/dev/null || die "verify when full"
mount -o remount,ro none "$XDG_STATE_HOME" || exit 77
out=$(view true 2>&1)
[ $? = 125 ] && [[ $out == *"Read-only file system"* ]] && [ "$(wc -l <<<"$out")" = 1 ] || die "read-only: $out"
out=$("$VIEWSH" diff l 2>&1) || die "diff of a layer that can't be written: $out"
[ "$(grep -c . <<<"$out")" = 2 ] || die "diff: $out"
out=$("$VIEWSH" commit l 2>&1)
[ $? != 0 ] && [[ $out == *"Read-only file system"* ]] || die "commit of a layer that can't be written: $out"
[ "$(cat plain d/in)" = "$(printf 'plain\nin')" ] || die "a part was committed"
mount -o remount,rw none "$XDG_STATE_HOME" || exit 77
"$VIEWSH" commit l >/dev/null || die "commit"
[ "$(cat plain; ls d)" = "$(printf 'plain\nmore\nagain')" ] || die "committed: $(cat plain)"
BODY
unshare -Urm bash "$T/body.sh"

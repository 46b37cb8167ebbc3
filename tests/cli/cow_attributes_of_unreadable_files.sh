#!/bin/bash
# Extended attributes of files whose mode keeps their owner from reading them: commit, also where it
# copies, a snapshot that is restored, and an exported layer have them all the same.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo x >probe
setfattr -n user.a -v b probe 2>/dev/null || skip "no extended attributes here"
rm probe
attributes() {
  local mode
  mode=$(stat -c %a "$1")
  chmod u+r "$1"
  getfattr --absolute-names -d "$1" | sed -n 's/^user\.//p' | tr '\n' ' '
  chmod "$mode" "$1"
  echo "$mode"
}
echo old >changed
setfattr -n user.was -v 1 changed
make='echo new >f; setfattr -n user.of -v one f; chmod 0 f; echo newer >changed
  setfattr -n user.of -v two changed; chmod 200 changed; echo ro >g; setfattr -n user.of -v three g; chmod 400 g'
view() { "$VIEWSH" run --cow "$W" --layer "$1" -- sh -c "$2"; }
view t "$make" || die "the view"
"$VIEWSH" snapshot t first >/dev/null || die "snapshot"
view t 'chmod 600 f changed g; setfattr -x user.of f; setfattr -n user.of -v other changed; setfattr -n user.of -v other g; chmod 0 f changed; chmod 400 g'
"$VIEWSH" restore t first >/dev/null || die "restore"
"$VIEWSH" export t "$T/layer.tar" >/dev/null || die "export"
"$VIEWSH" import --at "$W" "$T/layer.tar" copy >/dev/null || die "import"
assert_eq "imported" 'user.of="one"' \
  "$(view copy 'chmod 600 f; getfattr --absolute-names -n user.of f' | grep user.of)"
"$VIEWSH" commit t >/dev/null || die "commit"
assert_eq "new" 'of="one" 0' "$(attributes f)"
assert_eq "changed" 'of="two" was="1" 200' "$(attributes changed)"
assert_eq "read-only" 'of="three" 400' "$(attributes g)"

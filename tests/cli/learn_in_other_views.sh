#!/usr/bin/env bash
# Learned in a view: the profile has that view below it. Children and daemons count until the end.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
cd "$W" || die cd

mkdir lower other
echo real >lower/file
echo instead >other/file
cat >base.yaml <<'X'
viewsh: 1
mounts:
  - {type: bind, at: lower, source: other, options: [ro]}
X
"$VIEWSH" run -p ./base.yaml --learn "$T/a.yaml" -- cat lower/file >"$T/learn.out" 2>/dev/null || die "with -p"
assert_contains 'extends' "$(cat "$T/a.yaml")" '^  - /.*/base.yaml'
assert_eq 'under it' instead "$("$VIEWSH" run -p "$T/a.yaml" -- cat lower/file)"
(not_there "$T/a.yaml" "$W/other/file")

# A layer is gone on with; the real files stay.
"$VIEWSH" run --cow / --layer keep --learn "$T/b.yaml" -- sh -c 'echo changed >lower/file; echo n >lower/new' \
  2>/dev/null || die "with --layer"
assert_contains 'the layer' "$(cat "$T/b.yaml")" 'layer: keep'
assert_eq 'real' real "$(cat lower/file)"
assert_eq 'again' 'real' "$("$VIEWSH" run -p "$T/b.yaml" -- sh -c 'echo changed >lower/file; echo n >lower/new' && cat lower/file)"
"$VIEWSH" discard keep >/dev/null || die discard
"$VIEWSH" run --cow / --learn "$T/c.yaml" -- sh -c 'echo changed >lower/file; cat lower/file' >/dev/null 2>&1 || die "with --cow"
assert_eq 'under it' changed "$("$VIEWSH" run -p "$T/c.yaml" -- sh -c 'echo changed >lower/file; cat lower/file')"
assert_eq 'real' real "$(cat lower/file)"

# A daemon reads after the command has ended.
"$VIEWSH" run --learn "$T/d.yaml" -- sh -c '(sleep 0.5; cat lower/file >/dev/null) & exit 4' 2>/dev/null
assert_eq 'exit status' 4 $?
assert_contains 'the daemon' "$(cat "$T/d.yaml")" 'lower/file, .*# cat: read'

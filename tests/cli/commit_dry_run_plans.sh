#!/bin/bash
# commit --dry-run says what commit would refuse; an empty path is refused everywhere.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/t" && cd "$W/t" || exit 1
"$VIEWSH" run --cow / --layer t -- sh -c 'mkdir n; echo 5 >n/p; ln n/p n/q; ln n/p r' || die "run"
refused 125 'is the same file as' "$VIEWSH" commit --dry-run t n/p
refused 125 'is the same file as' "$VIEWSH" commit t n/p
"$VIEWSH" commit --dry-run t >"$T/out" || die "dry run of all"
assert_contains "told" "$(cat "$T/out")" 'would commit: '
[ ! -e n ] || die "written"
"$VIEWSH" run --cow / --layer t --layer over -- touch x || die "a layer on it"
refused 125 'the layer over stands on it' "$VIEWSH" commit --dry-run t
unset -v nothing
for command in commit "commit --dry-run" discard diff "commit --script" "commit --ours" "commit --theirs"; do
  option=${command##* }
  case $option in
    --ours | --theirs) refused 125 'empty path' "$VIEWSH" commit "$option" "${nothing-}" t ;;
    # shellcheck disable=SC2086
    *) refused 125 'empty path' "$VIEWSH" $command t "${nothing-}" ;;
  esac
done
assert_contains "still there" "$("$VIEWSH" layers)" '^t '

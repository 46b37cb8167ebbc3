#!/bin/bash
# git apply takes a patch that speaks of binary files, and does the rest of it; what was renamed and
# not changed is renamed.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need git
mkdir "$W/d" && cd "$W/d" || exit 1
printf 'a\0b' >bin && printf 'x\0y' >gone && printf 'm\0n' >moved && printf 'p\0q' >mode
printf 'one\ntwo\n' >text && cp text name
cp -a . "$T/old"
"$VIEWSH" run --cow "$PWD" --layer t -- sh -c '
  printf "a\0c" >bin; rm gone; mv moved there; mv name other; chmod 755 mode; printf "n\0w" >new; echo three >>text' || die "run"
"$VIEWSH" diff --patch t >"$T/patch" || die "diff --patch"
for f in bin gone new; do assert_contains "$f" "$(cat "$T/patch")" "^Binary files .*/$f.* differ"; done
for f in moved mode; do assert_lacks "$f" "$(cat "$T/patch")" "^Binary files .*/$f.* differ"; done
mkdir "$T/tree" && cp -a "$T/old/." "$T/tree"
strip=$(($(tr -cd / <<<"$W/d" | wc -c) + 1))
(cd "$T/tree" && git init -q . && git apply -p$strip "$T/patch") || die "git apply"
assert_eq "text" 'one two three' "$(tr '\n' ' ' <"$T/tree/text" | sed 's/ $//')"
assert_eq "renamed" there "$(cd "$T/tree" && echo there moved* | sed 's/ moved\*//')"
assert_eq "renamed text" 'one two' "$(tr '\n' ' ' <"$T/tree/other" | sed 's/ $//')"
[ ! -e "$T/tree/name" ] || die "name is there"
assert_contains "renamed text has no other lines" "$("$VIEWSH" diff --stat t)" '/name -> .*/other$'
assert_eq "mode" 755 "$(stat -c %a "$T/tree/mode")"

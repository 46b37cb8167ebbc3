#!/bin/bash
# commit: patterns, --ours, --theirs, --script and what is refused.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/t/sub/deep" && cd "$W/t" || exit 1
for f in a.txt b.txt c.dat sub/d.txt sub/deep/e.txt; do echo old >"$f"; done
edit() {
  "$VIEWSH" run --cow / --layer t -- sh -c \
    'for f in a.txt b.txt c.dat sub/d.txt sub/deep/e.txt; do echo new >$f; done' || die "run"
}
edit
assert_eq "diff by pattern" 2 "$("$VIEWSH" diff t "$W/t/*.txt" | wc -l)"
assert_eq "two stars" 4 "$("$VIEWSH" diff t '**/*.txt' | wc -l)"
refused 125 'nothing is changed there' "$VIEWSH" commit t "$W/t/*.none"
refused 125 'nothing is changed there' "$VIEWSH" commit t "$W/t/sub/none"
refused 125 'takes? no PATH' "$VIEWSH" commit --undo t "$W/t"
refused 125 'no terminal' "$VIEWSH" commit -i t
"$VIEWSH" commit t '*.txt' >/dev/null || die "relative pattern"
assert_eq "committed" "new new old old old" \
  "$(cat a.txt b.txt c.dat sub/d.txt sub/deep/e.txt | tr '\n' ' ' | sed 's/ $//')"
"$VIEWSH" discard t '**/e.txt' >/dev/null || die "discard by pattern"
assert_eq "left" 2 "$("$VIEWSH" diff t | wc -l)"

# Conflicts, settled one by one.
echo mine >c.dat
echo mine, too >sub/d.txt
refused_lines() { "$VIEWSH" commit "$@" 2>&1 >/dev/null | grep -c '^viewsh: conflict: '; }
assert_eq "conflicts" 2 "$(refused_lines t)"
assert_eq "one settled" 1 "$(refused_lines --theirs c.dat t)"
"$VIEWSH" commit --theirs c.dat --ours 'sub/*' t >/dev/null || die "ours and theirs"
assert_eq "theirs" mine "$(cat c.dat)"
assert_eq "ours" new "$(cat sub/d.txt)"
assert_lacks "nothing is left" "$("$VIEWSH" layers)" '^t '

# A script that does it, for whatever names.
odd=$(printf "it's \"odd\"\n\$(touch pwned)\\ *")
mkdir moved
echo m >moved/m
"$VIEWSH" run --cow / --layer t -- sh -c \
  'printf x >"$1"; mkdir -- -d; mv moved elsewhere; rm a.txt; ln b.txt hard; chmod 600 c.dat; ln -s "$1" -- -l' \
  sh "$odd" || die "run"
before=$(snapshot --exact "$W/t")
"$VIEWSH" commit --script t >"$T/script" || die "script"
assert_eq "only printed" "$before" "$(snapshot --exact "$W/t")"
cp -a "$W/t" "$T/copy"
(cd "$T" && sh "$T/script") || die "the script fails: $(cat "$T/script")"
[ ! -e pwned ] && [ ! -e "$T/pwned" ] || die "not quoted"
snapshot "$W/t" >"$T/by_script"
cd "$W" && rm -r "$W/t" && cp -a "$T/copy" "$W/t" && cd "$W/t" || exit 1
"$VIEWSH" commit --force t >/dev/null || die "commit"
snapshot "$W/t" | diff "$T/by_script" - || die "script and commit differ"

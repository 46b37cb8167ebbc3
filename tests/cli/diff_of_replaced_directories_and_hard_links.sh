#!/bin/bash
# What went with a replaced directory is listed as deleted; another name of a lower file as added.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/d/sub" "$W/other" "$W/moved"
for f in d/kept d/gone d/sub/deep other/o moved/m file twice; do echo "$f" >"$W/$f"; done
mkfifo "$W/fifo"
cd "$W" || exit 1
"$VIEWSH" run --cow / --layer t -- bash -c '
  rm -r d; mkdir d; echo changed >d/kept; echo x >d/new
  mv moved away; mkdir moved
  ln file link; ln fifo fifo2; ln twice t1; ln twice t2; rm twice' || die "run"
listing=$("$VIEWSH" diff t | grep -E '^[AMDRT] ' | sed "s,$W/,,g" | sort)
expected=$(sort <<'TEXT'
M d/
M d/kept
D d/gone
D d/sub/
A d/new
R moved/ -> away/
A moved/
A link
A fifo2
R twice -> t1
A t2
TEXT
)
assert_eq "diff" "$expected" "$listing"
patch=$("$VIEWSH" diff --patch t) || die "patch"
assert_contains "patch" "$patch" '^-d/gone'
assert_contains "patch" "$patch" '^-d/sub/deep'
refused 125 'replaced what was there as a whole' "$VIEWSH" commit t "$W/d/new"
refused 125 'replaced what was there as a whole' "$VIEWSH" discard t "$W/d/gone"
"$VIEWSH" commit t >/dev/null || die "commit"
assert_eq "committed" "away away/m d d/kept d/new fifo fifo2 file link moved other other/o t1 t2" \
  "$(find . -mindepth 1 -printf '%P\n' | grep -vE '^(home|tmp)(/|$)' | sort | tr '\n' ' ' | sed 's/ $//')"
[ file -ef link ] || die "not linked"
[ fifo -ef fifo2 ] || die "the fifo is not linked"
[ t1 -ef t2 ] || die "t1 and t2 are not linked"
assert_eq "content" changed "$(cat d/kept)"

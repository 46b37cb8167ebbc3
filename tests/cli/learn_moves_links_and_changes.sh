#!/usr/bin/env bash
# Files that are replaced, moved between directories and changed by a descriptor; names with odd characters.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need perl

mkdir -p "$W/a" "$W/b" "$W/one two" "$W/m"
echo 1 >"$W/a/conf"
echo 2 >"$W/one two/\$x #'y\"z"
echo 3 >"$W/m/mode"
ln -s a "$W/link"
ln -s ../a/conf "$W/b/conf"
touch "$W/"$'new\nline'
relearn odd sh -c 'sed -i s/1/4/ a/conf; cat link/conf b/conf; readlink b/conf link
  cat "one two"/*; cat new*line; perl -e "open F, q(<), q(m/mode); chmod 0640, *F or die" ; stat -c %a m/mode
  mkdir a/d 2>/dev/null; echo f >a/d/f; perl -e "rename q(a/d/f), q(b/f) or die qq(\$!\n)"; cat b/f'
assert_eq 'exit status' 0 "$(cat "$T/again.status")"
assert_eq 'replaced' 4 "$(cat "$W/a/conf")"
assert_eq 'moved' f "$(cat "$W/b/f")"

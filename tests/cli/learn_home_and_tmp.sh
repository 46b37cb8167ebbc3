#!/usr/bin/env bash
# What is written into ~ and /tmp: the home directory isn't shown for it, and keys never are.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view

mkdir -p "$HOME/.ssh" "$HOME/docs"
echo key >"$HOME/.ssh/id"
echo other >"$HOME/.ssh/other"
echo mine >"$HOME/docs/mine"
echo private >"$HOME/private"
relearn home sh -c 'umask 077; echo new >~/out; f=$(mktemp) && echo t >"$f" && cat "$f" && rm "$f"
  cat ~/.ssh/id ~/docs/mine; ls ~/docs; echo x >/tmp/viewsh-learn-$$; cat ~/out'
rm -f /tmp/viewsh-learn-*
assert_eq 'written where it was' new "$(cat "$HOME/out")"
assert_contains 'memory for /tmp' "$learned" 'tmpfs, at: /tmp, options: \[mode=1777\]'
assert_contains 'the key' "$learned" 'at: ~/\.ssh/id, .*WARNING'
assert_contains 'listed' "$learned" 'at: ~/docs, .*listed'
assert_contains 'made' "$learned" 'at: ~/out, '
assert_lacks 'the home directory' "$learned" 'bind, at: ~(/\.ssh)?,'
(cd "$W" && not_there "$T/home.yaml" "$HOME/private" "$HOME/.ssh/other")
"$VIEWSH" run -p "$T/home.yaml" -- sh -c 'echo y >/tmp/viewsh-learn-y' || die "/tmp can't be written"
[ ! -e /tmp/viewsh-learn-y ] || die "/tmp is the real one"

#!/bin/bash
# commit -i asks change by change, shows patches, and leaves in the layer what isn't wanted.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/terminal.sh"
needs_view
mkdir -p "$W/t/dir" && cd "$W/t" || exit 1
for f in a b c dir/x dir/y; do echo old >"$f"; done
"$VIEWSH" run --cow / --layer t -- sh -c \
  'for f in a b c dir/x dir/y; do echo new >$f; done; mkdir made; echo 1 >made/1' || die "run"
cat >"$T/go.sh" <<BODY
cd "$W/t"
trap : INT
"$VIEWSH" commit -i t "$W/t"
echo "stopped \$?"
"$VIEWSH" commit -i t "$W/t"
echo "status \$?"
sleep 60
BODY
term_start bash "$T/go.sh"
term_wait '\(1/7\) Commit this \[y,n,a,d,q,p,\?\]\?'
term_line y
term_wait '\(2/7\)'
term_send C-c
term_wait 'stopped 130'
assert_eq "nothing committed" "old old" "$(cat a b | tr '\n' ' ' | sed 's/ $//')"
term_wait '\(1/7\) Commit this \[y,n,a,d,q,p,\?\]\?'
term_line '?'
term_wait 'the rest of its directory'
term_line p
term_wait '^\+new'
term_line y
term_wait '\(2/7\)'
term_line n
term_wait '\(3/7\)'
term_line y
term_wait '\(4/7\)'
term_line a
term_wait '\(6/7\)'
term_line n
term_wait 'chosen: 4 changed; staying: 2 added, 1 changed'
term_wait 'status 0'
assert_eq "committed" "new old new new new" "$(cat a b c dir/x dir/y | tr '\n' ' ' | sed 's/ $//')"
[ ! -e made ] || die "what was left out was made"
assert_eq "left" "M $W/t/b A $W/t/made/ A $W/t/made/1 " "$("$VIEWSH" diff t | tr '\n' ' ')"

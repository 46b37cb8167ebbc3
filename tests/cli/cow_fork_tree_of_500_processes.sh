#!/bin/bash
# A tree of 500 processes, each of which writes a file and waits for its children.
. "$(dirname "$0")/../support/lib.sh"
[ -x "$P/fork_tree" ] || die "no $P/fork_tree"
export P
compare <<'BODY'
"$P/fork_tree" 500 || exit 1
ls | grep -c node_
cat node_499 node_0
rm node_*
BODY

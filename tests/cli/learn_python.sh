#!/usr/bin/env bash
# Many modules of one tree become the tree.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need python3

relearn py python3 -c 'import json, subprocess; print(json.dumps(subprocess.run(["/bin/echo", "hi"], capture_output=True).stdout.decode()))'
assert_contains 'the library' "$learned" 'at: /usr/(local/)?lib/python3[.0-9]*, .*\[ro\]\}  # [0-9]+ files of it: .*python3'
assert_lacks 'too much' "$learned" 'bind, at: (/|/etc|/usr|/usr/lib|~),'
(cd "$W" && not_there "$T/py.yaml" /usr/bin/perl /etc/passwd)

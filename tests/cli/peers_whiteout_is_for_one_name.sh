#!/bin/bash
# Deleting a name in one directory hides it in no other; no name is reserved.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/a" "$W/b" "$W/a/.-" ; for d in a b; do echo $d >"$W/$d/same"; echo w >"$W/$d/.wh.same"; echo w >"$W/$d/.wh..wh..opq"; done; echo x >"$W/a/.-/same"
compare <<'BODY'
set -e
rm a/same; cat b/same; cat a/.wh.same; ls -A a b a/.-; rm a/.wh.same; ls -A a; echo n >a/same; cat a/same; rm a/.wh..wh..opq; ls -A a b
: >b/.wh.new; ls -A b; rm -r a/.-; mkdir a/.-; ls -A a/.-
BODY

#!/bin/bash
# Extended attributes and ACLs of a lower file are there after the first write.
. "$(dirname "$0")/../support/lib.sh"
need setfattr getfattr; echo x >"$W/f"; mkdir "$W/d"; setfattr -n user.note -v kept "$W/f" 2>/dev/null || skip "no user attributes here"; setfattr -n user.dir -v d "$W/d"; command -v setfacl >/dev/null && setfacl -m u:1:r "$W/f" 2>/dev/null
compare <<'BODY'
set -e
echo more >>f; getfattr -d f d; setfattr -n user.new -v 1 f; setfattr -x user.note f; getfattr -d f; mv d e; getfattr -d e
: >e/x; getfattr -d e; if command -v getfacl >/dev/null; then getfacl -cnp f; setfacl -m u:2:rw f; getfacl -cnp f; fi; cp -a f g; getfattr -d g
BODY

#!/bin/bash
# Hard links of the lower stay one file after a write by any of the names.
. "$(dirname "$0")/../support/lib.sh"
mkdir "$W/d"; echo one >"$W/a"; ln "$W/a" "$W/d/b"; ln "$W/a" "$W/c"
compare <<'BODY'
set -e
i=$(stat -c %i a); echo two >>d/b; cat a c; stat -c %h a d/b c; rm a; cat c; stat -c %h c d/b; ln c e; chmod 600 e; stat -c "%a %h" d/b
[ "$(stat -c %i c)" = "$i" ] && echo "same inode"; mv d/b a; [ a -ef c ] && echo linked
BODY

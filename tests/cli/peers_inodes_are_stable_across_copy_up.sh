#!/bin/bash
# st_ino and st_dev of a file stay when it is written the first time.
. "$(dirname "$0")/../support/lib.sh"
mkdir "$W/d"; echo x >"$W/d/f"; echo y >"$W/d/g"
compare <<'BODY'
set -e
exec 3<d/f; a=$(stat -c %d:%i d/f); b=$(stat -L -c %d:%i /dev/fd/3); echo more >>d/f; c=$(stat -c %d:%i d/f); e=$(stat -L -c %d:%i /dev/fd/3)
[ "$a" = "$b" ] && [ "$a" = "$c" ] && [ "$a" = "$e" ] && echo stable; i=$(stat -c %i d); chmod 700 d; touch d/new; [ "$i" = "$(stat -c %i d)" ] && echo "directory too"
i=$(stat -c %i d/g); mv d/g d/h; [ "$i" = "$(stat -c %i d/h)" ] && echo "moved too"; ls -i d | awk "{print \$1}" | sort | uniq -d
BODY

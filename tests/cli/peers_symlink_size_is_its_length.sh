#!/bin/bash
# st_size of a symbolic link is the length of what readlink gives, absolute or not.
. "$(dirname "$0")/../support/lib.sh"
ln -s /usr/bin/env "$W/abs"; ln -s "$W/target" "$W/own"; ln -s rel "$W/rel"
compare <<'BODY'
set -e
for l in abs own rel; do [ "$(stat -c %s $l)" = "$(readlink -n $l | wc -c)" ] && echo "$l"; done; ln -s "$PWD/x" new; [ "$(stat -c %s new)" = "$(readlink -n new | wc -c)" ] && echo new
perl -e "for (qw(abs own rel new)) { print length(readlink) == (lstat)[7] ? 1 : 0 }"; cp -P own copy; readlink copy; tar cf - abs own | tar tvf - | awk "{print \$NF}"
BODY

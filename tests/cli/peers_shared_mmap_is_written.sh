#!/bin/bash
# A shared mapping of a file of the lower: what is written there is in the file.
. "$(dirname "$0")/../support/lib.sh"
head -c 5000 /dev/zero | tr "\\0" a >"$W/f"; export P
compare <<'BODY'
set -e
"$P/mmap_write" f hello; head -c 8 f; echo; cp f g; "$P/mmap_write" g other; head -c 8 g f; stat -c %s f g
BODY

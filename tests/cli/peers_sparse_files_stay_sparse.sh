#!/bin/bash
# A sparse file of the lower is sparse after the first write.
. "$(dirname "$0")/../support/lib.sh"
truncate -s 64M "$W/sparse"; echo end | dd of="$W/sparse" bs=1 seek=32M conv=notrunc status=none
compare <<'BODY'
set -e
echo begin | dd of=sparse conv=notrunc status=none; stat -c %s sparse; [ "$(stat -c %b sparse)" -lt 1024 ] && echo sparse; head -c 5 sparse; tail -c +33554433 sparse | head -c 3
BODY

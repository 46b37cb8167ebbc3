#!/bin/bash
# rsync -aHAX: a copy, a second pass that finds nothing to do, --delete, --link-dest.
. "$(dirname "$0")/../support/lib.sh"
need rsync
mkdir -p "$W/from/a/b" "$W/to/stale/dir"
for i in $(seq 1 50); do echo "content $i" >"$W/from/a/f$i"; done
echo old >"$W/to/stale/dir/file"
ln "$W/from/a/f1" "$W/from/a/b/hard"
ln -s ../f2 "$W/from/a/b/soft"
find "$W/from" -exec touch -h -d 2003-03-03T03:03:03.123456789 {} +
normalize() { grep -vE 'bytes/sec|speedup'; }
compare <<'BODY'
set -e
rsync -aHi --delete from/ to/
rsync -aHi --delete from/ to/
echo changed >>from/a/f7; rm from/a/f8
rsync -aHi --delete from/ to/
rsync -aHi --link-dest="$PWD/to" from/ third/
stat -c '%h' third/a/f9
rsync -aH --inplace --append-verify from/ third/
rsync -ani --checksum from/ to/
BODY

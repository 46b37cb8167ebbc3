#!/bin/bash
# mkdir, ln -s, mkfifo and new files in a directory that exists only in the lower.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/d/deep/er"; echo x >"$W/d/deep/er/f"; chmod 750 "$W/d"; touch -d 2001-01-01 "$W/d/deep" "$W/d"
compare <<'BODY'
set -e
mkdir d/deep/er/new; mkdir -p d/deep/a/b/c; ln -s target d/deep/link; mkfifo d/deep/er/fifo
echo y >d/deep/er/g; ln d/deep/er/f d/hard; readlink d/deep/link; ls -R d; stat -c %a d
BODY

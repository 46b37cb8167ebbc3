#!/bin/bash
# 64 threads that write, rename and read back, in one directory and apart.
. "$(dirname "$0")/../support/lib.sh"
[ -x "$P/thread_rename" ] || die "no $P/thread_rename"
export P
compare <<'BODY'
"$P/thread_rename" 64 40 || exit 1
ls own | wc -l
cat own/t63 common/latest
BODY

#!/bin/bash
# --tmpfs with a size: whichever call lets a file grow, ENOSPC comes when the size is reached.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/scratch"
cd "$W" || exit 1
export P
cat >"$T/body.sh" <<'BODY'
for call in write pwrite writev pwritev pwritev2 fallocate sendfile copy_file_range splice; do
  "$P/fill" "$call" scratch/f || exit 1
  rm scratch/f
done
BODY
got=$("$VIEWSH" run --tmpfs "$W/scratch:size=1M" -- bash "$T/body.sh")
while read -r call error size; do
  # Copies between a memory file and another file system may be refused as a whole.
  [ "$call $error" = "copy_file_range EXDEV" ] && continue
  assert_eq "$call" ENOSPC "$error"
  [ "$size" -le 1048576 ] || die "$call: $size bytes"
  [ "$size" -ge 900000 ] || die "$call: only $size bytes"
done <<<"$got"
assert_eq "calls" 9 "$(wc -l <<<"$got")"
assert_eq "below untouched" "" "$(ls -A scratch)"

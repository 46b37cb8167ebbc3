#!/bin/bash
# --tmpfs: empty, writable, and full when its size is reached: ENOSPC, as of a disk.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/scratch"
echo below >"$W/scratch/below"
cd "$W" || exit 1
cat >"$T/body.sh" <<'BODY'
ls -A scratch
echo text >scratch/f && cat scratch/f
mkdir scratch/d && mv scratch/f scratch/d/g && ln -s d/g scratch/l && cat scratch/l
dd if=/dev/zero of=scratch/big bs=64k count=64 2>&1 | grep -o 'No space left on device'
rm scratch/big
dd if=/dev/zero of=scratch/fits bs=64k count=8 2>/dev/null && stat -c %s scratch/fits
df --output=size -B1 scratch | tail -1 | tr -d ' '
stat -f -c %T scratch
BODY
got=$("$VIEWSH" run --tmpfs "$W/scratch:size=1M" -- bash "$T/body.sh")
assert_eq "what it does" "$(printf 'text\ntext\nNo space left on device\n524288\n1048576\ntmpfs')" "$got"
assert_eq "below untouched" below "$(ls -A scratch)"

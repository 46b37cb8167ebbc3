#!/bin/bash
# fsync(2), O_SYNC, syncfs(2) and msync(2) in a view with a named layer: the engine has written the
# log and the names in upper/ through; where nothing changed since, it writes nothing. A view
# without a name isn't stopped for them.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace python3
mkdir -p "$W/d/sub" && cd "$W" || exit 1
echo lower >d/sub/old
strace -o "$T/strace" true 2>/dev/null || skip "strace can't trace here"
# engine_syncs LAYER PYTHON: what the engine (strace doesn't follow its children) wrote through.
engine_syncs() {
  strace -y -o "$T/strace" -e trace=fsync,fdatasync,syncfs "$VIEWSH" run --cow "$W/d" ${1:+--layer "$1"} -- \
    python3 -c "import os, mmap
def mark(): os.path.exists('d/MARK')
$2" >"$T/out" 2>&1 </dev/null || die "$2: $(cat "$T/out")"
  # What belongs to opening and closing the layer is of files in its own directory.
  grep -E '/upper|/log>' "$T/strace" | sed -E 's/^([a-z]+)\([0-9]+<.*\/layers\/[a-z]+\/([^>]*)>.*/\1 \2/'
}
fresh() { "$VIEWSH" discard t >/dev/null 2>&1; }
out=$(engine_syncs t "f = open('d/sub/new', 'w'); f.write('x'); f.flush(); os.fsync(f.fileno())")
assert_contains "the directory" "$out" '^fsync upper/sub$'
assert_contains "and those above" "$out" '^fsync upper$'
assert_contains "the log" "$out" '^fdatasync log$'
fresh
out=$(engine_syncs t "f = os.open('d/sub/old', os.O_WRONLY | os.O_SYNC); os.write(f, b'x')")
assert_contains "O_SYNC" "$out" '^fsync upper/sub$'
fresh
out=$(engine_syncs t "os.remove('d/sub/old'); f = os.open('d/sub', os.O_RDONLY); os.fsync(f)")
assert_contains "a directory's names" "$out" '^fdatasync log$'
fresh
out=$(engine_syncs t "f = os.open('d/new', os.O_CREAT | os.O_RDWR)
os.ftruncate(f, 4096); m = mmap.mmap(f, 4096); m[0:1] = b'x'; m.flush()")
assert_contains "msync" "$out" '^syncfs upper$'
fresh
out=$(engine_syncs t "f = os.open('d/new', os.O_CREAT | os.O_RDWR)
for i in range(50): os.write(f, b'x'); os.fdatasync(f)")
assert_eq "fifty times, written through once" 1 "$(grep -c '^fsync upper$' <<<"$out")"
fresh
out=$(engine_syncs "" "f = os.open('d/new', os.O_CREAT | os.O_RDWR); os.fsync(f)")
assert_eq "without a layer" "" "$out"
out=$("$VIEWSH" run --cow "$W/d" --stats -- python3 -c "import os
f = os.open('d/new', os.O_CREAT | os.O_RDWR); os.fsync(f)" 2>&1)
assert_lacks "not trapped" "$out" 'fsync'

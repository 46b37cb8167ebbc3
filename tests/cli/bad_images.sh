#!/bin/bash
# What is no image, or not all of one, is told in one line with its place.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar gzip zip genisoimage python3
cd "$W" || exit 1
mkdir -p src/dir
echo text >src/text
head -c 500000 /dev/urandom >src/dir/big
tar -cf good.tar src
tar -czf good.tgz src
zip -qr good.zip src
genisoimage -quiet -R -o good.iso src 2>/dev/null
for f in good.*; do head -c 200000 "$f" >"cut.${f#good.}"; done
run() { "$VIEWSH" run --mount "$1" -- true; }

refused 125 'source: .*/nope.tar: No such file' run tar:nope.tar:/mnt/x
refused 125 'text: not an image or archive' run auto:src/text:/mnt/x
refused 125 'good.tar: not a zip' run zip:good.tar:/mnt/x
refused 125 'src: is a directory' run auto:src:/mnt/x
refused 125 'no plugin for this type' run isofs:good.iso:/mnt/x
refused 125 "unknown option 'wrong'" run tar:good.tar:/mnt/x:wrong
refused 125 'can only be read' run tar:good.tar:/mnt/x:rw
refused 125 'uid must be a number' run tar:good.tar:/mnt/x:uid=me
refused 125 'octal' run iso9660:good.iso:/mnt/x:mode=999
refused 125 'offset' run tar:good.tar:/mnt/x:offset=many
refused 125 'behind its end' run tar:good.tar:/mnt/x:offset=1G
for f in cut.*; do refused 125 "/$f: .*(cut short|damaged)" run "auto:$f:/mnt/x"; done
chmod 000 good.tgz
refused 125 'good.tgz: Permission denied' run tar:good.tgz:/mnt/x
mkfifo pipe
refused 125 'pipe: not a file or block device' run tar:pipe:/mnt/x

printf 'viewsh: 1\nmounts:\n  - {type: tmpfs, at: /mnt/t}\n  - {type: tar, at: /mnt/x, source: cut.tar}\n' >bad.yaml
refused 125 'bad.yaml:4:5: .*cut short' "$VIEWSH" check ./bad.yaml
refused 125 'bad.yaml:4:5: .*cut short' "$VIEWSH" run -p ./bad.yaml -- true

# Names that lead outside are left out, and told of.
python3 - <<'PYTHON'
import io, tarfile
with tarfile.open("evil.tar", "w") as t:
    for name in "../escaped", "/etc/passwd", "fine":
        entry = tarfile.TarInfo(name)
        entry.size = 4
        t.addfile(entry, io.BytesIO(b"evil"))
PYTHON
out=$("$VIEWSH" run --mount tar:evil.tar:/mnt/x -- find /mnt/x -type f 2>err | sort)
assert_eq 'inside' "$(printf '/mnt/x/etc/passwd\n/mnt/x/fine')" "$out"
assert_contains 'told' "$(cat err)" '^viewsh: .*evil.tar: 1 entry is not shown'

# Who mounts no image doesn't pay for it.
"$VIEWSH" run --bind src:/mnt/x -- sh -c 'touch /mnt/x/ready; sleep 60' &
pid=$!
wait_for 20 test -e src/ready
maps=$(cat "/proc/$pid/maps") || die maps
kill "$pid"
wait "$pid"
assert_contains 'a plugin' "$maps" 'viewfs.so'
assert_lacks 'the library of images' "$maps" 'images.so|libarchive'

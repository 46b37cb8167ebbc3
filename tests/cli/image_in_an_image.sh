#!/bin/bash
# The source of an image may lie in an image; what was unpacked is gone with the view.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need genisoimage zip tar zstd
cd "$W" || exit 1
mkdir -p src/dir
echo innermost >src/dir/file
printf '#!/bin/sh\necho runs\n' >src/run && chmod 755 src/run
head -c 2000000 /dev/urandom >src/big
genisoimage -quiet -R -o inner.iso src 2>/dev/null
zip -q middle.zip inner.iso
tar -cf - middle.zip | zstd -q >outer.tar.zst
sum=$(sha256sum <src/big)
cat >nested.yaml <<'YAML'
viewsh: 1
mounts:
  - {type: auto, at: /mnt/tar, source: outer.tar.zst, options: [ro]}
  - {type: zip, at: /mnt/zip, source: /mnt/tar/middle.zip}
  - {type: iso9660, at: /mnt/iso, source: /mnt/zip/inner.iso}
YAML
out=$("$VIEWSH" run -p ./nested.yaml -- bash -c 'cat /mnt/iso/dir/file; /mnt/iso/run; sha256sum </mnt/iso/big; findmnt -no SOURCE /mnt/iso') ||
  die "nested: $out"
assert_eq nested "$(printf 'innermost\nruns\n%s\n/mnt/zip/inner.iso' "$sum")" "$out"
"$VIEWSH" check ./nested.yaml >/dev/null || die check
assert_contains show "$("$VIEWSH" show -p ./nested.yaml)" '/mnt/iso +iso9660'
assert_contains resolve "$("$VIEWSH" resolve -p ./nested.yaml /mnt/iso/run)" '/mnt/iso/run +/mnt/iso +iso9660'

# Where things are kept is not shown.
out=$("$VIEWSH" run -p ./nested.yaml -- bash -c 'cat /mnt/iso/big >/dev/null; ls -A "${XDG_STATE_HOME:-$HOME/.local/state}/viewsh" || exit 1; ls -d '"${XDG_RUNTIME_DIR:-/dev/shm}"'/viewsh-'"$(id -u)"'-* 2>/dev/null; true') || die 'where is it kept?'
assert_lacks 'kept on disk or in memory' "$out" 'views|viewsh-'

# A part of a file is an image, too.
(head -c 4096 /dev/zero; cat middle.zip; head -c 1000 /dev/zero) >padded
out=$("$VIEWSH" run --mount "zip:padded:/mnt/zip:offset=4K,sizelimit=$(stat -c %s middle.zip)" -- ls /mnt/zip)
assert_eq 'offset= and sizelimit=' inner.iso "$out"

left() { find "${XDG_RUNTIME_DIR:-/dev/shm}" /dev/shm "${XDG_STATE_HOME:-$HOME/.local/state}/viewsh/views" -name "viewsh-$(id -u)-$1-*" 2>/dev/null; }
export XDG_RUNTIME_DIR=$W/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
"$VIEWSH" run -p ./nested.yaml -- sha256sum /mnt/iso/big >/dev/null &
pid=$!
wait "$pid" || die "in the background"
assert_eq 'nothing is left' '' "$(left "$pid")"
"$VIEWSH" run -p ./nested.yaml -- bash -c 'exec 3</mnt/iso/big; touch ready; sleep 60' &
pid=$!
wait_for 20 test -e ready
[ -n "$(left "$pid")" ] || die "where is it kept?"
kill -9 "$pid"
wait "$pid" 2>/dev/null
gone() { "$VIEWSH" run --tmpfs /mnt/none -- true && [ -z "$(left "$pid")" ]; }
wait_for 20 gone

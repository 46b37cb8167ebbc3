#!/bin/bash
# Images stacked as deep as one likes: an ext4 in a zip in an ext4 in an ISO; copy-on-write over an ISO and over an
# ext4, which stay as they are; a bind out of an image; an image as the root of a view.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck genisoimage zip debugfs
cd "$W" || exit 1
mkdir -p src/dir src/bin mnt
echo innermost >src/dir/file
printf '#!/bin/sh\necho runs "$0"\n' >src/bin/run && chmod 755 src/bin/run
ln -s dir/file src/link
owner=root_owner=$(id -u):$(id -g)
make_ext() { mkfs.ext4 -q -F -E "$owner" -d "$2" "$1" "$3" 2>mkfs.out || die "mkfs: $(cat mkfs.out)"; }
make_ext inner.ext4 src 4M
mkdir middle outer
zip -q middle/inner.zip inner.ext4
make_ext outer/middle.ext4 middle 8M
genisoimage -quiet -R -o outer.iso outer 2>/dev/null
cat >stack.yaml <<'YAML'
viewsh: 1
mounts:
  - {type: auto, at: /mnt/a, source: outer.iso}
  - {type: auto, at: /mnt/b, source: /mnt/a/middle.ext4, options: [ro]}
  - {type: auto, at: /mnt/c, source: /mnt/b/inner.zip}
  - {type: auto, at: /mnt/d, source: /mnt/c/inner.ext4, options: [ro]}
YAML
out=$("$VIEWSH" run -p ./stack.yaml -- bash -c 'cat /mnt/d/link; /mnt/d/bin/run; findmnt -no FSTYPE /mnt/d; ls /mnt/b' 2>&1) || die "a stack: $out"
assert_eq 'a stack' $'innermost\nruns /mnt/d/bin/run\next4\ninner.zip\nlost+found' "$out"

# Copy-on-write over what is mounted: all of it changes in the view, nothing of it in the image.
genisoimage -quiet -R -o disc.iso src 2>/dev/null
cp inner.ext4 disk.img
for image in disc.iso disk.img; do
  before=$(sha256sum <$image)
  cat >cow.yaml <<YAML
viewsh: 1
mounts:
  - {type: auto, at: $W/mnt, source: $image, options: [ro]}
  - {type: cow, at: $W/mnt}
YAML
  out=$("$VIEWSH" run -p ./cow.yaml -- bash -c '
    set -e
    cd mnt
    chmod u+w . dir 2>/dev/null || true
    chmod u+w dir/file && echo more >>dir/file && cat dir/file
    mv dir/file dir/moved && mkdir new && mv dir new/dir && cat new/dir/moved
    rm link bin/run && rmdir bin && ls' 2>&1) || die "cow over $image: $out"
  assert_contains "cow over $image" "$out" '^more$'
  assert_contains "cow over $image" "$out" '^new$'
  assert_lacks "cow over $image" "$out" '^(link|bin)$'
  assert_eq "$image after a view" "$before" "$(sha256sum <$image)"
done

# A bind out of an image, read-only beside it, and of one file.
cat >bind.yaml <<YAML
viewsh: 1
mounts:
  - {type: ext4, at: /mnt/image, source: disk.img}
  - {type: bind, at: $W/mnt, source: /mnt/image/dir}
  - {type: bind, at: /mnt/ro, source: /mnt/image/dir, options: [ro]}
YAML
out=$("$VIEWSH" run -p ./bind.yaml -- bash -c '
  cat mnt/file && echo written >mnt/new && cat /mnt/image/dir/new /mnt/ro/new
  touch /mnt/ro/x 2>/dev/null && echo "not read-only"
  rm mnt/file && ls /mnt/image/dir' 2>&1) || die "a bind: $out"
assert_eq 'a bind out of an image' $'innermost\nwritten\nwritten\nnew' "$out"
e2fsck -fn disk.img >fsck.out 2>&1 || die "a bind: $(cat fsck.out)"
assert_eq 'through a bind' written "$(debugfs -R 'cat /dir/new' disk.img 2>/dev/null)"

# An image as the root: a system of one static program, or of a shell with its libraries.
mkdir -p root/bin root/proc root/dev
copy() { # PROGRAM: with what it needs
  cp --parents -L "$(command -v "$1")" root
  ldd "$(command -v "$1")" | grep -oE '/[^ ]+' | while read -r library; do cp --parents -L "$library" root; done
}
copy bash && copy cat && copy ls && copy mkdir
echo 'this is the image' >root/which
make_ext root.img root 64M
out=$("$VIEWSH" run --mount "ext4:root.img:/" --cwd / -- "$(command -v bash)" -c '
  cd / && cat which && mkdir /made && echo text >/made/file && cat /made/file && ls -d /made /etc 2>&1; pwd' 2>&1)
assert_contains 'an image as the root' "$out" 'this is the image'
assert_contains 'an image as the root' "$out" "/etc': No such file|cannot access '/etc'|/etc: No such file"
assert_contains 'an image as the root' "$out" '^text$'
e2fsck -fn root.img >fsck.out 2>&1 || die "the root: $(cat fsck.out)"
# With the kernel's directories, and what the host has.
mkdir shared && echo 'of the host' >shared/file
out=$("$VIEWSH" run --mount "ext4:root.img:/" --bind "$W/shared:/srv" --cwd / -- "$(command -v bash)" -c '
  echo nothing >/dev/null && cat /srv/file && echo >>/srv/file && [ -e /proc/self/exe ] && [ -c /dev/null ] && [ -d /sys/kernel ] && ls /dev/null' 2>&1)
assert_eq 'an image as the root' $'of the host\n/dev/null' "$out"
e2fsck -fn root.img >fsck.out 2>&1 || die "the root: $(cat fsck.out)"
assert_eq 'a device, in the image' '' "$(debugfs -R 'ls -p /dev' root.img 2>/dev/null | grep null)"
assert_eq 'written at the root' text "$(debugfs -R 'cat /made/file' root.img 2>/dev/null)"

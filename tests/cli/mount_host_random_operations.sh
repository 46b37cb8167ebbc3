#!/bin/bash
# Random reads, writes, truncations and mappings of a file (fsx) through mount-host: on a copied-up
# file, in a tmpfs and in an ext4 image; git and a program that is built and run work there, too.
LIMIT=180
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
need mkfs.ext4 e2fsck git
[ -x "$P/fsx" ] || skip "fsx was not built"
cd "$W" || exit 1
mkdir -p root/cow
echo lower >root/cow/f
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
serve "root: $W/root
mounts:
  - {type: cow, at: /cow, layer: t}
  - {type: tmpfs, at: /memory}
  - {type: ext4, at: /img, source: $W/disk.img}"
for file in cow/f memory/f img/f; do
  for seed in 1 2; do
    "$P/fsx" "mnt/$file" "$seed" 1500 >fsx.out 2>&1 || die "$file, seed $seed: $(tail -5 fsx.out)"
  done
done
for place in cow img; do
  (
    cd mnt/$place && git init -q g && cd g || exit
    for i in $(seq 60); do echo "$i" >"f$i"; done
    git add . && git commit -qm one && git gc -q && git fsck 2>/dev/null && git checkout -q .
    cp /bin/true run && ./run && test -z "$(git status --porcelain -uno)"
  ) || die "git in $place"
done
unserve
e2fsck -fn disk.img >fsck.out 2>&1 || die "e2fsck: $(cat fsck.out)"
assert_eq "the layer" "t: good" "$("$VIEWSH" layers --verify t)"
assert_eq "the lower file" lower "$(cat root/cow/f)"

#!/bin/bash
# Where ext4 keeps what views make and throw away, each view has a part of the disk of its own: looking for a number
# that wasn't freed just before takes longer than all the rest of making a file.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 lsattr chattr
cd "$W" || exit 1
mkdir mnt probe
chattr +T probe 2>/dev/null && [[ $(lsattr -d probe) == *T* ]] || skip 'the test directory is not on ext4'
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 16M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
mkfifo wait
export XDG_STATE_HOME=$W/state
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash -c 'echo x >mnt/file; echo >begun; read -r _ <wait' &
for _ in $(seq 600); do [ -e begun ] && break; sleep 0.05; done
[ -e begun ] || die 'the view did not begin'
flags=$(lsattr -d state/viewsh/views)
echo >wait
wait $! || die 'the view failed'
assert_contains 'the folder of views' "$flags" '^[^ ]*T'

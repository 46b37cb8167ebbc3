#!/bin/bash
# The view's root may mount without being told, and an ext4 image records whom it makes an owner of, as
# debugfs and later views see it; who isn't root in the view is asked for permission there.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs mount umount
cd "$W" || exit 1
mkdir mnt t
mkfs.ext4 -q -F -E root_owner=0:0 disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
assert_contains show "$("$VIEWSH" show --fake-root)" 'allowed +mount'
assert_eq 'somebody else' EPERM "$("$VIEWSH" run --uid 1234 -- "$P/mount_call" mount none t tmpfs 0 -)"
assert_eq 'a tmpfs' 'ok 0:0 ok' "$("$VIEWSH" run --fake-root -- sh -c "'$P/mount_call' mount none t tmpfs 0 uid=0,gid=0; stat -c %u:%g t; '$P/mount_call' umount t 0" | xargs)"

cat >body.sh <<'BODY'
set -e
mount disk.img mnt
cd mnt
umask 022
echo new >new && mkdir dir && ln -s new link && mknod null c 1 3 && mkfifo fifo
echo www >www && chown 33:34 www && echo high >high && chown 4000000000:3000000000 high
chown -h 7:8 link
echo mine >mine && chown "$1:$2" mine && chmod 600 mine && echo again >>mine
echo closed >closed && chown 5:5 closed && chmod 0 closed && cat closed
stat -c '%n %u:%g %a' new dir link null fifo www high mine closed lost+found .
cd .. && umount mnt
BODY
out=$("$VIEWSH" run --fake-root -- bash body.sh "$(id -u)" "$(id -g)" 2>&1) || die "in the image: $out"
cat >expected <<OUT
closed
new 0:0 644
dir 0:0 755
link 7:8 777
null 0:0 644
fifo 0:0 644
www 33:34 644
high 4000000000:3000000000 644
mine $(id -u):$(id -g) 600
closed 5:5 0
lost+found 0:0 700
. 0:0 755
OUT
diff expected - <<<"$out" || die 'owners in the view'
e2fsck -fn disk.img >fsck.out 2>&1 || die "e2fsck: $(cat fsck.out)"
recorded() { debugfs -R "stat $1" disk.img 2>/dev/null | sed -n 's/^User: *\([0-9-]*\) *Group: *\([0-9-]*\).*/\1:\2/p'; }
assert_eq 'recorded' '0:0 0:0 33:34 7:8' "$(for f in new dir www link; do recorded $f; done | xargs)"
assert_eq 'recorded as the user outside' "$(id -u):$(id -g)" "$(recorded mine)"
assert_contains 'a device' "$(debugfs -R 'stat null' disk.img 2>/dev/null)" '01:03'

# By profile, as somebody who isn't root: asked for permission by the ids of the view.
as() { "$VIEWSH" run --uid "$1" --gid "$2" --mount "ext4:disk.img:$W/mnt" -- bash -c "$3" 2>&1; }
assert_contains 'not his' "$(as 1234 56 'cat mnt/closed; cat mnt/mine')" 'closed: Permission denied'
assert_contains 'nor the user'"'"'s outside' "$(as 1234 56 'cat mnt/mine')" 'mine: Permission denied'
assert_eq 'his own' www "$(as 33 34 'cat mnt/www')"
assert_eq 'he writes' 'more 33:34' "$(as 33 34 'echo more >mnt/www && cat mnt/www && stat -c %u:%g mnt/www' | xargs)"
assert_contains 'he makes nothing' "$(as 33 34 'touch mnt/x')" 'Permission denied'
assert_contains 'he gives nothing away' "$(as 33 34 'chown 5 mnt/www')" 'not permitted'
assert_contains 'no devices' "$(as 33 34 'mknod mnt/n c 1 3; mknod t/n c 1 3')" 'not permitted|denied'
assert_eq 'the user outside' 'mine again' "$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" -- cat mnt/mine | xargs)"
e2fsck -fn disk.img >fsck.out 2>&1 || die "e2fsck: $(cat fsck.out)"

# What a tree says of its owners goes into an image, and from there into an archive.
"$VIEWSH" run --fake-root --mount "ext4:disk.img:$W/mnt" -- bash -c '
  mkdir mnt/tree && echo a >mnt/tree/a && chown 33:34 mnt/tree/a && tar -C mnt -cf t.tar tree &&
  mkdir mnt/copy && tar -C mnt/copy -xf t.tar && cp -a mnt/tree mnt/copied' || die 'tar in the image'
assert_eq 'in the archive' '0/0 33/34' "$(tar --numeric-owner -tvf t.tar | awk '{print $2}' | xargs)"
assert_eq 'unpacked and copied' '33:34 33:34' "$(for f in copy/tree/a copied/a; do recorded $f; done | xargs)"
rm -rf x && mkdir x
assert_status 2 "$VIEWSH" run --fake-root -- sh -c 'exec 2>/dev/null; tar -C x -xf t.tar'
rm -rf x && mkdir x
"$VIEWSH" run --fake-root -- tar -C x --no-same-owner -xf t.tar || die 'tar --no-same-owner'
# An archive that is mounted shows whom it names, and without owners it is the user's.
assert_eq 'a mounted tar' '33:34' "$("$VIEWSH" run --fake-root --mount "tar:t.tar:$W/mnt" -- stat -c %u:%g mnt/tree/a)"
if command -v bsdtar >/dev/null; then
  bsdtar --format zip -cf t.zip body.sh
  "$VIEWSH" run --fake-root --mount "zip:t.zip:$W/mnt" -- cat mnt/body.sh | cmp - body.sh || die 'a mounted zip'
fi
# And may work in another root directory.
mkdir -p small/bin && cp "$P/ids_static" small/bin/ids
assert_contains chroot "$("$VIEWSH" run --fake-root -- /usr/sbin/chroot small /bin/ids all)" '^process: uid 0 0'

#!/bin/bash
# ACLs and extended attributes through mount-host: those of real files, of a copy-on-write layer and of an ext4 image
# show, are kept, and count. A view's own FUSE knows no ACLs of servers, so the kernel's is needed.
LIMIT=120
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
[ -z "${VIEWSH_TEST_IN_VIEW-}" ] || skip "needs the kernel's FUSE"
need mkfs.ext4 debugfs e2fsck setfacl getfacl getfattr setfattr
cd "$W" || exit 1
me=$(id -u)
mkdir -p tree/shared tree/img source
touch tree/plain
setfacl -m u:77:r tree/plain 2>/dev/null || skip "no ACLs in $W"
setfacl -m u:78:rw tree/plain
setfacl -m d:u:77:rw,d:o:- tree/shared

# What the image has is root's, and only ACLs let the user see or change it.
umask 022
for f in read write none plain; do echo "$f" >source/$f && chmod 600 source/$f; done
setfacl -m "u:$me:r" source/read && setfacl -m "u:$me:rw" source/write && setfacl -m "u:$me:-,m::r" source/none
chmod o+rw source/none && setfattr -n user.shown -v yes source/read
mkdir source/open source/shared && chmod 700 source/open source/shared && echo in >source/open/in
setfacl -m "u:$me:rx" source/open && setfacl -m "u:$me:rwx,d:u:$me:rw,d:u:77:r,d:o:-" source/shared
mkfs.ext4 -q -F -d source -E root_owner=0:0 disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
for f in read write none plain open open/in shared; do printf 'sif /%s uid 0\nsif /%s gid 0\n' $f $f; done >cmd
debugfs -w -f cmd disk.img >/dev/null 2>&1

cat >kept.sh <<'BODY'
acl() { getfacl -cpn "$1" 2>&1 | xargs; }
acl plain; acl shared
setfacl -m u:79:r,u:78:- plain && acl plain
chmod 640 plain && acl plain
setfacl -b plain && acl plain
mkdir shared/dir && acl shared/dir; : >shared/file && acl shared/file; stat -c %a shared/file shared/dir
for f in read write none open shared; do acl img/$f; done
getfattr -d img/read
BODY
cat >expected <<OUT
user::rw- user:77:r-- user:78:rw- group::r-- mask::rw- other::r--
user::rwx group::r-x other::r-x default:user::rwx default:user:77:rw- default:group::r-x default:mask::rwx default:other::---
user::rw- user:77:r-- user:78:--- user:79:r-- group::r-- mask::r-- other::r--
user::rw- user:77:r-- user:78:--- user:79:r-- group::r-- mask::r-- other::---
user::rw- group::r-- other::---
user::rwx user:77:rw- group::r-x mask::rwx other::--- default:user::rwx default:user:77:rw- default:group::r-x default:mask::rwx default:other::---
user::rw- user:77:rw- group::r-x #effective:r-- mask::rw- other::---
660
770
user::rw- user:$me:r-- group::--- mask::r-- other::---
user::rw- user:$me:rw- group::--- mask::rw- other::---
user::rw- user:$me:--- group::--- mask::r-- other::rw-
user::rwx user:$me:r-x group::--- mask::r-x other::---
user::rwx user:$me:rwx group::--- mask::rwx other::--- default:user::rwx default:user:77:r-- default:user:$me:rw- default:group::--- default:mask::rw- default:other::---
# file: img/read
user.shown="yes"

OUT
serve "root: $W/tree
mounts:
  - {type: cow, at: /, layer: kept}
  - {type: ext4, at: /img, source: $W/disk.img}"
(cd mnt && bash "$W/kept.sh") >got 2>&1

cat >counts.sh <<'BODY'
can() { (eval "$1") >/dev/null 2>&1 && echo "can: $1" || echo "cannot: $1"; }
can 'cat img/read'; can 'echo x >>img/read'; can '[ -w img/read ]'; can 'echo x >>img/write'; can 'cat img/write'
can 'cat img/none'; can 'cat img/plain'; can 'ls img/open'; can 'cat img/open/in'; can 'touch img/open/new'
can 'echo new >img/shared/new'; can 'mkdir img/shared/dir'; can 'ls img/shared/dir'
for f in new dir; do getfacl -cpn img/shared/$f | xargs; stat -c %a img/shared/$f; done
BODY
(cd mnt && bash "$W/counts.sh") >counts 2>&1
unserve
diff expected got >diff.out || die "kept: $(cat diff.out)"
[ "$(getfacl -cpn tree/plain | grep -c 79)" = 0 ] || die 'the real file was changed'
e2fsck -fn disk.img >fsck.out 2>&1 || die "$(cat fsck.out)"
cat >expected <<OUT
can: cat img/read
cannot: echo x >>img/read
cannot: [ -w img/read ]
can: echo x >>img/write
can: cat img/write
cannot: cat img/none
cannot: cat img/plain
can: ls img/open
can: cat img/open/in
cannot: touch img/open/new
can: echo new >img/shared/new
can: mkdir img/shared/dir
can: ls img/shared/dir
user::rw- user:77:r-- user:$me:rw- group::--- mask::rw- other::---
660
user::rwx user:77:r-- user:$me:rw- group::--- mask::rw- other::--- default:user::rwx default:user:77:r-- default:user:$me:rw- default:group::--- default:mask::rw- default:other::---
760
OUT
diff expected counts >diff.out || die "counts: $(cat diff.out)"

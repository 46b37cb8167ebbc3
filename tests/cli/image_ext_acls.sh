#!/bin/bash
# ACLs and extended attributes in an ext4 image: setfacl(1) and getfacl(1) work, who may do what goes by them, chmod(1)
# changes the mask, new files inherit, and debugfs and later views see the same. trusted. is root's alone.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck setfacl getfacl getfattr setfattr python3
cd "$W" || exit 1
mkdir mnt
mkfs.ext4 -q -F -E root_owner=0:0 disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
clean() { e2fsck -fn disk.img >fsck.out 2>&1 || die "$1: $(cat fsck.out)"; }
me=$(id -u)
group=$(id -g)

# Root makes files of its own, and lets the user of later views do some things.
cat >root.sh <<'BODY'
set -e
cd mnt
umask 022
for f in read write none masked group plain; do echo "$f" >$f; chmod 600 $f; done
setfacl -m "u:$1:r" read
setfacl -m "u:$1:rw" write
setfacl -m "u:$1:-,m::r" none && chmod o+rw none
setfacl -m "u:$1:rw,m::r" masked
setfacl -m "g:$2:r" group
mkdir closed open shared
chmod 700 closed open && echo x >closed/in && echo x >open/in && setfacl -m "u:$1:rx" open
setfacl -m "u:$1:rwx,d:u:$1:rw,d:u:77:r,d:o:-" shared
cp /bin/true prog && chmod 700 prog && setfacl -m "u:$1:x" prog
setfattr -n trusted.secret -v hidden read && setfattr -n user.shown -v yes read
setfattr -n security.label -v seen read
getfacl -cpn write | xargs
chmod 640 write && getfacl -cpn write | xargs
stat -c %a write
getfattr -d -m - read | grep -v posix_acl | sort
BODY
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- bash root.sh "$me" "$group" 2>&1)
cat >expected <<OUT
user::rw- user:$me:rw- group::--- mask::rw- other::---
user::rw- user:$me:rw- #effective:r-- group::--- mask::r-- other::---
640

# file: read
security.label="seen"
trusted.secret="hidden"
user.shown="yes"
OUT
diff expected - <<<"$out" >diff.out || die "root: $(cat diff.out)"
clean 'after root'
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- chmod 660 mnt/write || die chmod

cat >user.sh <<'BODY'
cd mnt
can() { (eval "$1") >/dev/null 2>&1 && echo "can: $1" || echo "cannot: $1"; }
can 'cat read'; can '[ -r read ]'; can 'echo x >>read'; can '[ -w read ]'
can 'cat write'; can 'echo x >>write'; can 'echo x >write'
can 'cat none'; can 'echo x >>none'; can '[ -r none ]'
can 'cat masked'; can 'echo x >>masked'
can 'cat group'; can 'echo x >>group'
can 'cat plain'; can '[ -r plain ]'
can 'ls closed'; can 'cat closed/in'; can 'ls open'; can 'cd open'; can 'stat open/in'; can 'touch open/new'
can './prog'; can 'cat prog'; can '[ -x prog ]'
can 'setfacl -m o::r read'; can 'setfattr -n user.new -v x read'; can 'setfattr -n user.new -v x write'
can 'echo new >shared/new'; can 'mkdir shared/dir'
getfacl -cpn shared/new | xargs; getfacl -cpn shared/dir | xargs; stat -c %a shared/new shared/dir
python3 - <<'PY'
import os
fd = os.open('shared', os.O_TMPFILE | os.O_WRONLY, 0o666)
os.link(f'/proc/self/fd/{fd}', 'shared/late', src_dir_fd=os.open('.', os.O_RDONLY), follow_symlinks=True)
try:
    fd = os.open('read', os.O_RDONLY)
    print(sorted(os.listxattr(fd)), os.getxattr(fd, 'user.shown'), len(os.getxattr(fd, 'system.posix_acl_access')))
    os.getxattr(fd, 'trusted.secret')
except OSError as e:
    print(e.strerror)
PY
getfacl -cpn shared/late | xargs; stat -c %a shared/late
getfattr -d -m - read | grep -v posix_acl | sort; getfattr -n trusted.secret read 2>&1
BODY
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash user.sh >got 2>&1
cat >expected <<OUT
can: cat read
can: [ -r read ]
cannot: echo x >>read
cannot: [ -w read ]
can: cat write
can: echo x >>write
can: echo x >write
cannot: cat none
cannot: echo x >>none
cannot: [ -r none ]
can: cat masked
cannot: echo x >>masked
can: cat group
cannot: echo x >>group
cannot: cat plain
cannot: [ -r plain ]
cannot: ls closed
cannot: cat closed/in
can: ls open
can: cd open
can: stat open/in
cannot: touch open/new
can: ./prog
cannot: cat prog
can: [ -x prog ]
cannot: setfacl -m o::r read
cannot: setfattr -n user.new -v x read
can: setfattr -n user.new -v x write
can: echo new >shared/new
can: mkdir shared/dir
user::rw- user:77:r-- user:$me:rw- group::r-x #effective:r-- mask::rw- other::---
user::rwx user:77:r-- user:$me:rw- group::r-x mask::rwx other::--- default:user::rwx default:user:77:r-- default:user:$me:rw- default:group::r-x default:mask::rwx default:other::---
660
770
['security.label', 'system.posix_acl_access', 'user.shown'] b'yes' 44
No data available
user::rw- user:77:r-- user:$me:rw- group::r-x #effective:r-- mask::rw- other::---
660

# file: read
security.label="seen"
user.shown="yes"
read: trusted.secret: No such attribute
OUT
diff expected got >diff.out || die "the user: $(cat diff.out)"
clean 'after the user'

# Another view sees the same, one that only reads, too; and copies of cp(1) have it.
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" -- bash -c 'getfacl -cpn mnt/read | xargs; cat mnt/read; cat mnt/plain 2>&1')
assert_eq 'for reading only' "user::rw- user:$me:r-- group::--- mask::r-- other::---
read
cat: mnt/plain: Permission denied" "$out"
out=$("$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- bash -c 'cp -a mnt/read mnt/shared/copy && getfacl -cpn mnt/shared/copy | xargs')
assert_eq 'a copy' "user::rw- user:$me:r-- group::--- mask::r-- other::---" "$out"
clean 'at the end'

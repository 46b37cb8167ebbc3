#!/bin/bash
# ACLs and extended attributes of an ext4 image under a copy-on-write mount: they show, count, are inherited and
# survive copy-up, as in the image itself: the same script runs over both. The image stays as it was.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 setfacl getfacl getfattr setfattr python3
cd "$W" || exit 1
mkdir mnt
touch probe
setfacl -m u:77:r probe 2>/dev/null || skip "no ACLs in $W"
mkfs.ext4 -q -F -E root_owner=0:0 disk.img 64M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
me=$(id -u)
group=$(id -g)

# Files of root's and of the user's.
cat >root.sh <<'BODY'
set -e
cd mnt
umask 022
for f in read write none masked group plain own moved twice; do echo "$f" >$f; chmod 600 $f; done
setfacl -m "u:$1:r" read
setfacl -m "u:$1:rw" write moved twice
ln twice hard
setfacl -m "u:$1:-,m::r" none && chmod o+rw none
setfacl -m "u:$1:rw,m::r" masked
setfacl -m "g:$2:r" group
setfacl -m "u:77:rw" own && chown "$1:$2" own
mkdir closed open shared barred deep deep/below
chmod 700 closed open && echo x >closed/in && echo x >open/in && setfacl -m "u:$1:rx" open
setfacl -m "u:$1:rwx,d:u:$1:rw,d:u:77:r,d:o:-" shared
echo x >barred/in && chmod 755 barred && setfacl -m "u:$1:-" barred
chmod 700 deep && setfacl -m "u:$1:rwx" deep && setfacl -m "u:$1:rwx" deep/below && echo x >deep/below/in
cp /bin/true prog && chmod 700 prog && setfacl -m "u:$1:x" prog
setfattr -n user.shown -v yes read && setfattr -n security.label -v seen read && setfattr -n trusted.secret -v no read
setfattr -n user.kept -v yes write && setfattr -n user.kept -v yes shared
BODY
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:fakeroot" -- bash root.sh "$me" "$group" || die root.sh

cat >user.sh <<'BODY'
cd mnt
can() { (eval "$1") >/dev/null 2>&1 && echo "can: $1" || echo "cannot: $1"; }
acl() { getfacl -cpn "$1" | xargs; stat -c %a "$1"; }
for f in read write none masked group own open shared barred; do echo "$f: $(getfacl -cpn $f 2>&1 | xargs)"; done
can 'cat read'; can '[ -r read ]'; can 'echo x >>read'; can '[ -w read ]'
can 'cat none'; can 'echo x >>none'; can '[ -r none ]'; can 'cat masked'; can 'echo x >>masked'
can 'cat group'; can 'echo x >>group'; can 'cat plain'; can '[ -r plain ]'
can 'ls closed'; can 'cat closed/in'; can 'ls open'; can 'cd open'; can 'stat open/in'; can 'touch open/new'
can 'ls barred'; can 'cat barred/in'; can 'cd barred'; can './prog'; can 'cat prog'; can '[ -x prog ]'
getfattr -d -m - read | grep -v posix_acl | sort; getfattr -n trusted.secret read 2>&1
can 'setfacl -m o::r read'; can 'setfattr -n user.new -v x read'
# What is written to is copied, and its ACL counts for the copy.
for i in 1 2; do can 'cat write'; can '[ -w write ]'; can 'echo x >>write'; acl write; done
can 'setfattr -n user.new -v x write'; getfattr -d write | sort
can 'mv moved open/moved'; can 'echo x >>twice'; can 'echo x >>hard'; acl hard
can 'echo x >>own'; acl own; can 'setfacl -m u:78:r,m::r own'; acl own; can 'chmod 660 own'; acl own
can 'setfacl -x u:77 own'; acl own; can 'setfacl -b own'; acl own
# A directory that something was made in still has its own, and gives them on.
can 'echo new >shared/new'; can 'mkdir shared/dir'; can 'echo more >shared/dir/more'
for f in shared shared/new shared/dir shared/dir/more; do acl $f; done
getfattr -d shared
can 'touch deep/below/new'; can 'mv deep/below/in deep/in'; can 'rm deep/below/new'; acl deep; acl deep/below
python3 - <<'PY'
import os
fd = os.open('shared', os.O_TMPFILE | os.O_WRONLY, 0o666)
os.link(f'/proc/self/fd/{fd}', 'shared/late', src_dir_fd=os.open('.', os.O_RDONLY), follow_symlinks=True)
for name in ('read', 'write'):
    fd = os.open(name, os.O_RDONLY)
    print(name, [n for n in sorted(os.listxattr(fd)) if n != 'security.label'], len(os.getxattr(fd, 'system.posix_acl_access')))
PY
acl shared/late
BODY
cp disk.img native.img
sum=$(md5sum <disk.img)
"$VIEWSH" run --mount "ext4:native.img:$W/mnt" -- bash user.sh >expected 2>&1
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" --cow "$W/mnt" --layer acl -- bash user.sh >got 2>&1
diff expected got >diff.out || die "copy on write: $(cat diff.out)"
assert_contains 'the image' "$(cat expected)" "write: user::rw- user:$me:rw- group::--- mask::rw- other::---"
assert_eq 'the image below' "$sum" "$(md5sum <disk.img)"

# The layer has them, also for the next view.
cat >later.sh <<'BODY'
cd mnt
for f in read write own shared shared/new shared/dir deep deep/below; do echo "$f: $(getfacl -cpn $f 2>&1 | xargs)"; done
(echo x >>write) && (echo y >>shared/new) && touch shared/dir/again deep/below/again && echo could
cat barred/in none 2>&1
BODY
"$VIEWSH" run --mount "ext4:native.img:$W/mnt" -- bash later.sh >expected 2>&1
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt:ro" --cow "$W/mnt" --layer acl -- bash later.sh >got 2>&1
diff expected got >diff.out || die "the layer later: $(cat diff.out)"

#!/bin/bash
# A server on whose mount an image lies may call sync(2), syncfs(2) and msync(2) while it brings that
# image to disk: these leave out what would wait for the server itself.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need mkfs.ext4 debugfs e2fsck python3 mountpoint
. "$support/fuse_programs.sh"
/usr/bin/python3 -c 'import fusepy; fusepy.FUSE' 2>/dev/null || skip "python3-fusepy is not installed"
mkdir src m n
truncate -s 32M src/d.img
mkfs.ext4 -qF -E root_owner="$(id -u):$(id -g)" src/d.img || die mkfs
cat >server.py <<PY
import ctypes, mmap
libc = ctypes.CDLL(None)
text = open('$S/tests/programs/fusepy_mirror.py').read()
new = '''    def fsync(self, path, datasync, fh):
        os.fsync(fh)
        os.sync()
        libc.syncfs(fh)
        with open('$W/mapped', 'wb+') as file:
            file.truncate(4096)
            with mmap.mmap(file.fileno(), 4096) as memory:
                memory[0] = 1
                memory.flush()
        open('$W/synced', 'w').close()

'''
assert '    def release' in text
exec(text.replace('    def release', new + '    def release'))
PY
out=$(timeout 90 "$VIEWSH" run --bind "$T/passwd:/etc/passwd" --allow mount -- bash -c '
/usr/bin/python3 server.py src m &
until mountpoint -q m; do sleep 0.05; done
mount m/d.img n || exit 3
printf xx >n/f
python3 -c "import os; os.fsync(os.open(\"n/f\", os.O_RDWR))" && [ -e synced ] && echo synced
umount n && echo gone' 2>&1) || die "status $?: $out"
assert_eq 'it answers' "$(printf '%s\n' synced gone)" "$out"
e2fsck -fn src/d.img >e2fsck.out 2>&1 || die "$(cat e2fsck.out)"
assert_eq 'what was written' xx "$(debugfs -R 'cat f' src/d.img 2>/dev/null)"

#!/bin/bash
# Programs, scripts and libraries run from an image as from any file system, and see it as one.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar xz python3 findmnt
cd "$W" || exit 1

mkdir -p src/bin src/lib src/dir
cp "$(command -v ls)" src/bin/list
cp "$(command -v env)" src/bin/secret
printf '#!/bin/sh\necho "$0 $*"; pwd\n' >src/bin/script
printf '#!/mnt/image/bin/list -d\n' >src/bin/chained
chmod 755 src/bin/script src/bin/chained
cp "$(ldd "$(command -v ls)" | grep -oE '/[^ ]+/libc\.so\.6')" src/lib/libcopy.so
echo inside >src/dir/file
mkfifo src/dir/fifo
head -c 3000000 /dev/urandom >src/big
tar -C src --exclude=./bin/secret -cf image.tar .
tar -C src --mode=0111 -rf image.tar ./bin/secret
xz image.tar

cat >body.sh <<'BODY'
set -e
/mnt/image/bin/list -d /mnt/image/dir
/mnt/image/bin/list -l /proc/self/exe | sed 's/.*-> //'
/mnt/image/bin/script one two
/mnt/image/bin/chained
cd /mnt/image/dir
../bin/script
pwd; realpath file; readlink /proc/self/cwd
cd ../dir && cat file ./../dir/file
find . -type f | sort
exec 3<file
readlink /proc/self/fd/3
stat -L -c '%s %h' /proc/self/fd/3
[ "$(stat -c %d:%i file)" = "$(stat -L -c %d:%i /proc/self/fd/3)" ]
[ "$(stat -c %d .)" = "$(stat -c %d /mnt/image/big)" ]
findmnt -no FSTYPE -T .
df --output=pcent . | tail -1 | tr -d ' '
stat -f -c '%T %f' .
python3 - <<'PYTHON'
import ctypes, mmap, os, fcntl
lib = ctypes.CDLL("/mnt/image/lib/libcopy.so")
print(lib.abs(-42), [l.split()[-1] for l in open("/proc/self/maps") if "libcopy" in l][0])
with open("/mnt/image/big", "rb") as f:
    fcntl.flock(f, fcntl.LOCK_SH)
    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    print(len(m), os.fstat(f.fileno()).st_size)
fd = os.open("/mnt/image/dir/file", os.O_PATH)
print(open("/proc/self/fd/%d" % fd).read().strip())
d = os.open("/mnt/image/dir", os.O_RDONLY)
os.fchdir(d)
print(os.getcwd(), sorted(os.listdir(d)), os.stat("file", dir_fd=d).st_size)
r = os.open("/mnt/image/dir/fifo", os.O_RDWR | os.O_NONBLOCK)
os.write(r, b"piped"); print(os.read(r, 10).decode())
print(os.listxattr("/mnt/image/big"))
PYTHON
BODY
cat >want <<'WANT'
/mnt/image/dir
/mnt/image/bin/list
/mnt/image/bin/script one two
WORK
/mnt/image/bin/chained
../bin/script 
/mnt/image/dir
/mnt/image/dir
/mnt/image/dir/file
/mnt/image/dir
inside
inside
./file
/mnt/image/dir/file
7 1
tar
100%
fuseblk 0
42 /mnt/image/lib/libcopy.so
3000000 3000000
inside
/mnt/image/dir ['fifo', 'file'] 7
piped
[]
WANT
sed -i "s|^WORK$|$W|" want
"$VIEWSH" run --mount auto:image.tar.xz:/mnt/image -- bash body.sh >got 2>err || {
  diff want got
  die "status $?: $(cat err)"
}
diff want got || die "it differs"

# May be run but not read; and not at all.
"$VIEWSH" run --mount auto:image.tar.xz:/mnt/image -- bash -c '
  /mnt/image/bin/secret true || exit 1
  cat /mnt/image/bin/secret 2>&1; /mnt/image/dir/file 2>&1; exit 0' >got || die "an unreadable program"
assert_contains 'not to be read' "$(cat got)" 'bin/secret: Permission denied'
assert_contains 'not to be run' "$(cat got)" 'dir/file: Permission denied'

#!/bin/bash
# fsync(2) of a small change of a long file in an ext4 image costs what was written, not the whole file, as long as
# nobody maps it; and whatever way the change took, it is in the image afterwards, even if viewsh is killed.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs python3
cd "$W" || exit 1
mkdir mnt
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" disk.img 512M >mkfs.out 2>&1 || die "mkfs: $(cat mkfs.out)"
cat >work.py <<'PY'
import fcntl, mmap, os, sys, time
MIB = 1 << 20
fd = os.open('mnt/long', os.O_RDWR | os.O_CREAT, 0o644)
for _ in range(192):
    os.write(fd, b'a' * MIB)
os.fsync(fd)
os.fsync(fd)

def best(change):
    times = []
    for i in range(8):
        change(i)
        start = time.monotonic()
        os.fsync(fd)
        times.append(time.monotonic() - start)
    return min(times)

# At a place, at the descriptor's position, behind the end, by a child that shares the position.
os.lseek(fd, 10 * MIB, os.SEEK_SET)
by_parts = best(lambda i: (os.pwrite(fd, b'P%d' % i, (20 + i) * MIB + 7), os.write(fd, b'W%d' % i)))
assert os.path.getsize('mnt/long') == 192 * MIB
os.pwritev(fd, [b'vec', b'tor'], 40 * MIB)
appending = os.open('mnt/long', os.O_WRONLY | os.O_APPEND)
os.write(appending, b'behind')
if os.fork() == 0:
    os.write(fd, b'child')
    os._exit(0)
os.wait()
os.write(fd, b'parent')
with open('source', 'wb') as f:
    f.write(b'sent')
source = os.open('source', os.O_RDONLY)
os.lseek(fd, 50 * MIB, os.SEEK_SET)
os.sendfile(fd, source, 0, 4)
os.fsync(fd)
# Through a mapping, of which nobody hears, the whole file is compared.
memory = mmap.mmap(fd, 192 * MIB)
def store(i):
    memory[60 * MIB + i] = ord('m')
as_whole = best(store)
os.ftruncate(fd, 100 * MIB)
os.pwrite(fd, b'again', 150 * MIB)
os.fsync(fd)
print('%.6f %.6f' % (by_parts, as_whole), flush=True)
with open('at-work', 'w'):
    pass
time.sleep(100)
PY
"$VIEWSH" run --mount "ext4:disk.img:$W/mnt" -- python3 work.py >times 2>err &
engine=$!
for _ in $(seq 2000); do [ -e at-work ] || ! kill -0 "$engine" 2>/dev/null && break; sleep 0.1; done
[ -e at-work ] || die "the view did not get there: $(cat err)"
kill -KILL "$engine"
wait "$engine" 2>/dev/null
e2fsck -fy disk.img >fsck.out 2>&1
[ $? -le 1 ] || die "after a kill: $(cat fsck.out)"
debugfs -R 'dump /long got' disk.img 2>/dev/null
python3 - <<'PY' || die 'what was synced is not there'
MIB = 1 << 20
want = bytearray(b'a' * (100 * MIB) + b'\0' * (50 * MIB) + b'again')
for i in range(8):
    want[(20 + i) * MIB + 7:(20 + i) * MIB + 9] = b'P%d' % i
want[10 * MIB:10 * MIB + 27] = b'W0W1W2W3W4W5W6W7childparent'
want[40 * MIB:40 * MIB + 6] = b'vector'
want[50 * MIB:50 * MIB + 4] = b'sent'
want[60 * MIB:60 * MIB + 8] = b'mmmmmmmm'
with open('got', 'rb') as f:
    got = f.read()
if got != want:
    at = next((i for i in range(min(len(got), len(want))) if got[i] != want[i]), min(len(got), len(want)))
    raise SystemExit(f'differs at {at}: {got[at:at + 16]} {bytes(want[at:at + 16])}')
PY
read -r parts whole <times
python3 -c 'import sys; sys.exit(not float(sys.argv[1]) * 4 < float(sys.argv[2]))' "$parts" "$whole" ||
  die "a small change takes $parts s, the whole file $whole s"

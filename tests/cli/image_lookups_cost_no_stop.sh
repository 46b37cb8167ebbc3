#!/bin/bash
# In an image that is only read, names and open files are asked for without stops, once the engine
# said them; with the answers, errors and attributes that a stop gives, in every process, whatever
# directory it works in.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3 tar
cd "$W" || exit 1
umask 022
mkdir -p src/d/deep/er src/closed/in src/mine src/big at
for i in $(seq 60); do echo "$i" >"src/d/f$i"; echo "$i" >"src/d/deep/er/g$i"; done
for i in $(seq 400); do : >"src/big/file-$i"; done
long=$(printf 'n%.0s' $(seq 200))
echo long >"src/d/$long"
ln -s f1 src/d/link
ln -s deep/er src/d/way
ln src/d/f2 src/d/f2b
mkfifo src/d/fifo
echo in >src/closed/in/file
echo mine >src/mine/file
chmod 711 src/d/deep
chmod 700 src/mine
tar -cf x.tar --mtime=2020-02-02 -C src d mine big || die tar
tar -rf x.tar --mtime=2020-02-02 --mode=a-rwx -C src closed || die tar
cat >"$T/ask.py" <<'PY'
import ctypes, errno, mmap, os, stat, sys, threading
top = os.getcwd() + "/at"
os.chdir(top)
fds = {}
def fd_of(d):
    if d not in fds: fds[d] = os.open(top + "/" + d if d else top, os.O_RDONLY)
    return fds[d]
def told(ask):
    try: s = ask()
    except OSError as e: return e.errno
    return tuple(getattr(s, n) for n in dir(s) if n.startswith("st_"))
def looks(n):
    d, b = os.path.split(n)
    out = [told(f) for f in (lambda: os.lstat(top + "/" + n), lambda: os.lstat(n),
                             lambda: os.lstat(b, dir_fd=fd_of(d)), lambda: os.lstat(n, dir_fd=fd_of("")))]
    assert all(o == out[0] for o in out), (n, out)
    return out[0]
long = "n" * 200
names = ["d/f%d" % i for i in range(1, 61)] + ["d/deep/er/g%d" % i for i in range(1, 61)]
names += ["d", "d/deep", "d/deep/er", "d/link", "d/way", "d/f2b", "d/fifo", "d/" + long, "d/none", "none/x", "d/f1/x"]
first = {n: looks(n) for n in names}  # most of it by stops
for _ in range(30):
    for n in names: assert looks(n) == first[n], n
assert first["d/none"] == first["none/x"] == errno.ENOENT and first["d/f1/x"] == errno.ENOTDIR
assert os.lstat("d/f10").st_size == 3 and os.lstat("d/f2").st_nlink == 2
assert os.lstat("d/f2").st_ino == os.lstat("d/f2b").st_ino and os.lstat("d/f2").st_mtime == 1580601600
assert stat.S_ISLNK(os.lstat("d/link").st_mode) and stat.S_ISFIFO(os.stat("d/fifo").st_mode)
for _ in range(10):  # links are followed, and what isn't a plain text is understood
    assert os.stat("d/link").st_size == 2 and os.stat("d/way/g10").st_size == 3
    assert os.stat("link", dir_fd=fd_of("d")).st_size == 2
    assert os.stat("d/../d/./f10").st_size == 3 and os.stat("d//f10").st_size == 3
    assert told(lambda: os.stat("d/f10/")) == errno.ENOTDIR and os.stat("d/deep/").st_nlink == 3
    assert told(lambda: os.stat("f1/x", dir_fd=fd_of("d"))) == errno.ENOTDIR
    assert told(lambda: os.stat("", dir_fd=fd_of("d"))) == errno.ENOENT
    assert told(lambda: os.stat("../x", dir_fd=fd_of("d"))) == errno.ENOENT
    assert os.access("d/f1", os.F_OK) and os.access("d/f1", os.R_OK) and not os.access("d/f1", os.W_OK)
    assert not os.access("d/none", os.F_OK) and not os.access("d/f1", os.X_OK)
    for how in (os.O_RDONLY, os.O_RDONLY | os.O_DIRECTORY):
        assert told(lambda: os.open("d/none", how)) == errno.ENOENT
    assert told(lambda: os.open("d/none", os.O_RDWR | os.O_CREAT)) == errno.EROFS
    assert told(lambda: os.lstat("x", dir_fd=999)) == errno.EBADF
if os.getuid() != 0:
    for _ in range(10):
        for n in ("closed/in", "closed/in/file", "closed/none"):
            assert told(lambda: os.lstat(n)) == errno.EACCES, n
for _ in range(10): assert os.lstat("mine/file").st_size == 5 and told(lambda: os.lstat("mine/x")) == 2
for _ in range(3):  # what is open is what it is called
    for n in names[:60] + ["d", "d/deep", "big"]:
        fd = os.open(n, os.O_RDONLY)
        for _ in range(5): assert told(lambda: os.fstat(fd)) == told(lambda: os.lstat(n)), n
        os.close(fd)
with open("/proc/self/cmdline") as f: assert os.fstat(f.fileno()).st_ino == os.stat(f.name).st_ino
# A number that is open on another directory, and another working directory.
one, two = os.open("d", os.O_RDONLY), os.open("d/deep/er", os.O_RDONLY)
number = os.dup(one)
for _ in range(10):
    os.dup2(one, number); assert os.lstat("f1", dir_fd=number).st_size == 2
    assert told(lambda: os.lstat("g1", dir_fd=number)) == errno.ENOENT
    os.dup2(two, number); assert os.lstat("g1", dir_fd=number).st_size == 2
    assert told(lambda: os.lstat("f1", dir_fd=number)) == errno.ENOENT
    os.chdir("d"); assert os.path.exists("f10") and not os.path.exists("g10")
    os.fchdir(two); assert os.path.exists("g10") and not os.path.exists("f10")
    os.chdir("/"); assert not os.path.exists("g10") and not os.path.exists("f10")
    child = os.fork()
    if child == 0:
        os.chdir(top + "/d"); os._exit(0 if os.path.exists("f10") and not os.path.exists("d") else 1)
    assert os.waitpid(child, 0)[1] == 0 and not os.path.exists("f10")
    os.chdir(top)
    assert os.path.exists("d/f10")
# A path or a buffer that can't be read or written, and a path at the end of what can be.
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
assert libc.mprotect(ctypes.c_void_p(page + 4096), 4096, 0) == 0
def at_the_end(text):
    ctypes.memmove(page + 4096 - len(text), text, len(text))
    return ctypes.c_void_p(page + 4096 - len(text))
buffer = ctypes.create_string_buffer(256)
for _ in range(5):
    for path, to, want in ((ctypes.c_void_p(8), buffer, 14), (b"d/f10", ctypes.c_void_p(8), 14),
                           (at_the_end(b"d/f10"), buffer, 14), (b"d/none", buffer, 2)):
        for call in (libc.lstat, libc.stat):
            assert call(path, to) == -1 and ctypes.get_errno() == want, (path, ctypes.get_errno())
        assert not any(buffer.raw)
    assert libc.fstatat(one, ctypes.c_void_p(8), buffer, 0x1000) == -1 and ctypes.get_errno() == 14
    assert libc.lstat(at_the_end(b"d/f10\0"), buffer) == 0 and any(buffer.raw)
    assert libc.fstatat(one, b"", buffer, 0x1000) == 0 and libc.access(ctypes.c_void_p(8), 0) == -1
    ctypes.memset(buffer, 0, 256)
# A whole list at once, and threads.
def walk(out):
    for _ in range(20): out.append(sum(os.lstat("file-%d" % i, dir_fd=fd_of("big")).st_nlink for i in range(1, 401)))
assert len(os.listdir(fd_of("big"))) == 400
sums = []
threads = [threading.Thread(target=walk, args=(sums,)) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert sums == [400] * 80
print("all right")
PY
"$VIEWSH" run --stats --mount "tar:x.tar:$W/at" -- python3 "$T/ask.py" >"$T/out" 2>"$T/stats" ||
  die "$(cat "$T/out" "$T/stats")"
assert_eq "the program" "all right" "$(cat "$T/out")"
# 49000 of them by relative paths, and 4000 by absolute ones, which stop.
stops=$(awk '$2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
[ "$stops" -lt 8000 ] || die "$stops stops for 53000 calls"
stops=$(awk '$2 == "fstat" {n += $3} END {print n + 0}' "$T/stats")
[ "$stops" -lt 100 ] || die "$stops stops for 1000 times fstat"

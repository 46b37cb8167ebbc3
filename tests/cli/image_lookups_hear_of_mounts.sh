#!/bin/bash
# Who looked names up in an image without stops hears at once of what is mounted over them, taken
# away, or moved, by whichever process; and who works in what was covered or taken away goes on there.
LIMIT=300
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3 tar
cd "$W" || exit 1
umask 022
mkdir -p src/sub/deep src/other at at2
echo in >src/sub/file
echo more >src/sub/deep/file
echo other >src/other/file
tar -cf x.tar -C src sub other || die tar
tar -cf y.tar -C src/sub . || die tar
cat >"$T/ask.py" <<'PY'
import ctypes, os, signal, sys
rounds = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def ok(result):
    if result < 0: raise OSError(ctypes.get_errno(), "in the one who mounts")
top = os.getcwd().encode()
at, at2 = top + b"/at", top + b"/at2"
ask, answer = os.pipe(), os.pipe()
child = os.fork()
if child == 0:  # the one who mounts
    os.close(ask[1])
    for line in os.fdopen(ask[0]):
        exec(line)
        os.write(answer[1], b"x")
    os._exit(0)
os.close(ask[0])
parent = os.getpid()
busy = os.fork()
if busy == 0:  # one who looks all the time: whatever it is told has to be something that was there
    os.close(ask[1])
    os.chdir(at)
    while os.getppid() == parent:
        for n, sizes in ((b"sub/file", (3, None, 0, 8)), (b"other/file", (6, 3)), (b"sub/deep/file", (5, None))):
            try: size = os.lstat(n).st_size
            except FileNotFoundError: size = None
            if size not in sizes: sys.exit("%r: %r" % (n, size))
def do(what):
    os.write(ask[1], (what + "\n").encode())
    assert os.read(answer[0], 1) == b"x", what
here = os.open(at, os.O_RDONLY)
sub = os.open(at + b"/sub", os.O_RDONLY)
os.chdir(at)
def size(n, fd=None):
    try: return os.lstat(n, dir_fd=fd).st_size
    except FileNotFoundError: return None
def same(n, want):
    got = [size(n), size(n, here), size(at + b"/" + n)]
    assert got == [want] * 3, (n, got, want)
def quick():
    for _ in range(10):
        same(b"sub/file", 3); same(b"sub/deep/file", 5); same(b"other/file", 6); same(b"sub/new", None)
quick(); quick()
image = os.lstat(b"sub").st_ino
for i in range(rounds):
    quick()
    do("ok(libc.mount(b'none', at + b'/sub', b'tmpfs', 0, None)); os.rename(top + b'/x.tar', top + b'/x.tar')"
       if i % 2 else "ok(libc.mount(top + b'/y.tar', at + b'/sub', b'tar', 0, None))")
    if i % 2:
        same(b"sub/file", None); same(b"sub/deep/file", None)
        do("open(at + b'/sub/new', 'w').write('12345')")
        same(b"sub/new", 5)
        do("open(at + b'/sub/file', 'w').write('1234567\\n')")
        same(b"sub/file", 8)
    else:
        same(b"sub/file", 3); same(b"sub/new", None)
        assert os.lstat(b"sub").st_dev != os.lstat(b"other").st_dev
    assert size(b"file", sub) == 3 and size(b"deep/file", sub) == 5 and size(b"new", sub) is None
    os.fchdir(sub)
    for _ in range(3): assert size(b"file") == 3 and size(b"deep/file") == 5 and size(b"new") is None
    os.chdir(at)
    do("ok(libc.umount2(at + b'/sub', 2))")
    same(b"sub/file", 3); same(b"sub/new", None); assert os.lstat(b"sub").st_ino == image
    # Another image, mounted, looked into, moved and taken away while it is open.
    do("ok(libc.mount(top + b'/y.tar', at2, b'tar', 0, None))")
    other = os.open(at2, os.O_RDONLY)
    for _ in range(3): assert size(b"file", other) == 3 and size(b"deep/file", other) == 5
    if i % 3 == 0:
        do("ok(libc.mount(at2, at + b'/other', None, 8192, None))")
        same(b"other/file", 3); same(b"other/deep/file", 5); assert size(at2 + b"/file") is None
        do("ok(libc.umount2(at + b'/other', 2))")
    elif i % 3 == 1:
        do("ok(libc.mount(b'none', at2 + b'/deep', b'tmpfs', 0, None))")
        for _ in range(3): assert size(b"deep/file", other) is None
        do("ok(libc.umount2(at2 + b'/deep', 2)); ok(libc.umount2(at2, 2))")
    else:
        do("ok(libc.umount2(at2, 2))")
    assert size(at2 + b"/file") is None
    for _ in range(3): assert size(b"file", other) == 3 and size(b"deep/file", other) == 5
    same(b"other/file", 6)
    os.close(other)
os.close(ask[1])
assert os.waitpid(child, 0)[1] == 0
assert os.waitpid(busy, os.WNOHANG)[0] == 0, "a size that never was"
os.kill(busy, signal.SIGKILL)
os.waitpid(busy, 0)
print("all right")
PY
"$VIEWSH" run --allow mount --stats --mount "tar:x.tar:$W/at" -- python3 "$T/ask.py" "${1:-30}" >"$T/out" 2>"$T/stats" ||
  die "$(cat "$T/out" "$T/stats")"
assert_eq "the program" "all right" "$(cat "$T/out")"
stops=$(awk '$2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
[ "$stops" -lt $((${1:-30} * 150 + 1000)) ] || die "$stops stops in ${1:-30} rounds of 300 calls and more"

#!/bin/bash

# Look-ups of names that nothing changed are not stopped; those of changed ones say at once what the
# view says, in every process that had looked before: by absolute and relative paths, by a directory's
# descriptor and after chdir.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
mkdir -p d/deep/er other
for i in $(seq 60); do echo "$i" >"d/f$i"; echo "$i" >"d/deep/er/g$i"; done
for i in $(seq 40); do mkdir -p "t/a$i/b" && echo >"t/a$i/b/c$i"; done
ln -s f1 d/link
ln -s ../d other/way
ln d/f2 d/f2b
cat >"$T/ask.py" <<'PY'
import os, sys, stat
top = os.getcwd()
def looks(n):
    """One name asked for in every way: all have to agree, or to say the same error."""
    out = []
    for ask in (lambda: os.lstat(top + "/" + n), lambda: os.lstat(n),
                lambda: os.lstat(os.path.basename(n), dir_fd=fd_of(os.path.dirname(n)))):
        try:
            s = ask()
            out.append((s.st_ino, s.st_mode, s.st_nlink, s.st_size))
        except OSError as e:
            out.append(e.errno)
    assert out[0] == out[1] == out[2], (n, out)
    return out[0]
fds = {}
def fd_of(d):
    if d not in fds: fds[d] = os.open(top + "/" + d if d else top, os.O_RDONLY)
    return fds[d]
names = ["d/f%d" % i for i in range(1, 61)] + ["d/deep/er/g%d" % i for i in range(1, 61)]
def content(n):
    with open(n) as f: return f.read()

ask, answer = os.pipe(), os.pipe()
child = os.fork()
if child == 0:  # the one who changes things
    os.close(ask[1])
    for line in os.fdopen(ask[0]):
        exec(line)
        os.write(answer[1], b"x")
    os._exit(0)
os.close(ask[0])
def do(what):
    os.write(ask[1], (what + "\n").encode())
    assert os.read(answer[0], 1) == b"x", what
for _ in range(20):
    for n in names: looks(n)
def missing(n): return looks(n) == 2
assert missing("d/new") and missing("d/deep/er/new")
do("open('d/new', 'w').write('now')")
assert looks("d/new")[3] == 3 and content("d/new") == "now"
do("open('d/f5', 'a').write('more')")
ino = os.lstat("d/f5").st_ino
assert looks("d/f5")[3] == 6 and content(top + "/d/f5") == "5\nmore"
do("os.unlink('d/f6')"); assert missing("d/f6")
do("os.chmod('d/f7', 0o600)"); assert looks("d/f7")[1] & 0o777 == 0o600
do("os.rename('d/f8', 'd/f8new')"); assert missing("d/f8") and looks("d/f8new")[3] == 2
do("os.unlink('d/f2b')"); assert looks("d/f2")[2] == 1
do("os.rename('d/deep', 'd/moved')")
assert missing("d/deep") and os.lstat("g1", dir_fd=fd_of("d/deep/er")).st_size == 2
for n in ("d/deep/er/g1", "d/deep/er"):
    try: os.lstat(n); raise SystemExit(n + " is still there")
    except FileNotFoundError: pass
assert os.lstat("d/moved/er/g1").st_size == 2
fds.clear()
do("os.mkdir('d/deep'); os.mkdir('d/deep/er')"); assert missing("d/deep/er/g1")
try: os.lstat(top + "/d/deep/er/g1"); raise SystemExit("an old file in a new directory")
except FileNotFoundError: pass
do("import shutil; shutil.rmtree('d/deep'); os.symlink('moved', 'd/deep')")
assert stat.S_ISLNK(os.lstat("d/deep").st_mode) and content("d/deep/er/g9") == "9\n"
do("os.chmod('d/moved/er', 0)")
if os.getuid() != 0:
    try: os.lstat("d/moved/er/g1"); raise SystemExit("looked into a closed directory")
    except PermissionError: pass
do("os.chmod('d/moved/er', 0o755)"); assert os.lstat("d/moved/er/g1").st_size == 2
assert os.stat("d/link").st_size == 2 and os.readlink("d/link") == "f1"
do("os.unlink('d/link'); os.symlink('f5', 'd/link')")
assert os.stat("d/link").st_size == 6 and os.readlink("d/link") == "f5"
os.chdir("other"); assert os.path.exists("way/f10") and not os.path.exists("f10")
os.chdir("../d"); assert os.path.exists("f10") and not os.path.exists("f6")
assert os.access("f10", os.R_OK) and os.access("f10", os.W_OK) and not os.access("f6", os.F_OK)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(256)
here, gone, nowhere = b"f10", b"f6", ctypes.c_void_p(8)
for _ in range(3):  # what can't be read or written is EFAULT, and a refusal writes nothing
    assert libc.access(nowhere, 0) == -1 and ctypes.get_errno() == 14
    assert libc.stat(nowhere, buffer) == -1 and ctypes.get_errno() == 14
    assert libc.lstat(here, nowhere) == -1 and ctypes.get_errno() == 14
    assert libc.readlink(b"link", nowhere, 20) == -1 and ctypes.get_errno() == 14
    assert libc.lstat(gone, buffer) == -1 and ctypes.get_errno() == 2 and not any(buffer.raw)
    assert libc.lstat(here, buffer) == 0 and any(buffer.raw)
    ctypes.memset(buffer, 0, 256)
os.chdir(top)
for _ in range(20):
    for n in names[20:60]: looks(n)
fds.clear()
do("os.rename('d', 'e'); os.mkdir('d'); open('d/f10', 'w').write('another')")
assert looks("d/f10")[3] == 7 and missing("d/f11") and os.lstat("e/f11").st_size == 3
fds.clear()
do("os.unlink('d/f10'); os.rmdir('d'); os.rename('e', 'd')")
assert looks("d/f10")[3] == 3 and missing("d/f6")
# Directories that nobody looked into before, and the way back up from them.
there = os.path.exists
for i in range(1, 41):
    n = "t/a%d/b/c%d" % (i, i)
    assert os.lstat(n).st_ino == os.lstat("t/a%d/b/.././b//c%d" % (i, i)).st_ino
    assert os.lstat(top + "/" + n).st_size == 1 and not there("t/a%d/none/x" % i)
do("os.mkdir('t/a9/none'); open('t/a9/none/x', 'w').close()")
assert there("t/a9/none/x") and there("t/a9/b/../none/x") and not there("t/a8/none/x")
do("os.rename('t/a1/b', 't/a1/b2')")
assert not there("t/a1/b/c1") and not there("t/a1/b/../b2/c1") and there("t/a1/b2/../b2/c1")
do("os.symlink('../a2/b', 't/a1/b')")
assert there("t/a1/b/c2") and there("t/a1/b/../b/c2") and not there("t/a1/b/../b2")
do("shutil.rmtree('t/a3')")
assert not there("t/a3/b/c3") and not there("t/a3/../a4") and there("t/a4/../a4/b/c4")
do("os.setxattr('t/a5/b/c5', 'user.x', b'1')")
assert os.getxattr("t/a5/b/c5", "user.x") == b"1" and os.listxattr("t/a6/b/c6") == []
os.close(ask[1])
assert os.waitpid(child, 0)[1] == 0
print("all right")
PY
for view in "--cow /" "--cow / --layer l"; do
  # shellcheck disable=SC2086 # words
  "$VIEWSH" run --stats $view -- python3 "$T/ask.py" >"$T/out" 2>"$T/stats" || die "$view: $(cat "$T/out" "$T/stats")"
  assert_eq "$view" "all right" "$(cat "$T/out")"
  stops=$(awk '$2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
  [ "$stops" -lt 1500 ] || die "$view: $stops stops for 10000 calls"
done

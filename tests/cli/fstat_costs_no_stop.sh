#!/bin/bash
# fstat(3) of a program is not stopped, and says what the view says: of what is new, copied up, removed,
# before and after, in the program and in its children.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
for i in $(seq 40); do echo "$i" >"f$i"; done
mkdir d
ln f1 f1b
cat >"$T/ask.py" <<'PY'
import os, sys
def state(fd):
    s = os.fstat(fd)
    return (s.st_ino, s.st_mode, s.st_nlink, s.st_size)
r, w = os.pipe()
back, done = os.pipe()
names = ["f%d" % i for i in range(1, 41)]
before = {n: os.stat(n).st_ino for n in names}
fds = [os.open(n, os.O_RDONLY) for n in names]
for _ in range(20):
    for fd in fds: os.fstat(fd)
child = os.fork()
if child == 0:
    os.read(r, 1)
    for n in names[:20]:
        fd = os.open(n, os.O_RDONLY)
        assert os.fstat(fd).st_ino == before[n] == os.stat(n).st_ino, (n, "child")
        assert os.fstat(fd).st_size == os.stat(n).st_size
        os.close(fd)
    os.write(done, b"x")
    os._exit(0)
for n in names[:10]:
    with open(n, "a") as f:
        f.write("more\n")
        f.flush()
        assert os.fstat(f.fileno()).st_ino == before[n], n
for n in names[10:15]: os.chmod(n, 0o600)
for n, fd in zip(names[10:15], fds[10:15]): assert state(fd)[1] & 0o7777 == 0o600, n
for n in names[15:20]: os.rename(n, n + "-moved"); os.rename(n + "-moved", n)
os.write(w, b"x")
assert os.read(back, 1) == b"x"
assert os.waitpid(child, 0)[1] == 0
os.unlink("f20"); assert state(fds[19])[2] == 0
os.unlink("f1b"); fd = os.open("f1", os.O_RDONLY); assert state(fd)[2] == 1, state(fd)
new = os.open("new", os.O_RDWR | os.O_CREAT); ino = os.fstat(new).st_ino
assert ino == os.stat("new").st_ino
d = os.open("d", os.O_RDONLY); links = state(d)[2]; os.mkdir("d/e"); assert state(d)[2] == links + 1
for _ in range(20):
    for fd in fds[20:]: os.fstat(fd)
print("all right")
PY
# The last one writes through.
for view in "--cow $W" "--cow /" "--bind $W:$W"; do
  # shellcheck disable=SC2086 # words
  "$VIEWSH" run --stats $view -- python3 "$T/ask.py" >"$T/out" 2>"$T/stats" || die "$view: $(cat "$T/out" "$T/stats")"
  assert_eq "$view" "all right" "$(cat "$T/out")"
  stops=$(awk '$2 == "fstat" || $2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
  [ "$stops" -lt 500 ] || die "$view: $stops stops for 1300 calls"
done

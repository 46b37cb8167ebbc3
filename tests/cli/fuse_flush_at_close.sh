#!/bin/bash
# What was written to a file of a FUSE server is with it when close(2) comes back, whatever closes
# it; close(2) has the server's error; and the server hears when nobody has it open any more.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse.sh"
export MIRROR_LOG=$T/log
got=$(in_view <<'BODY'
mirror
echo new >mnt/n; cat src/n
exec 3>mnt/k; echo one >&3; exec 3>&-; cat src/k
cp /bin/true mnt/true; cmp mnt/true src/true && src/true && echo same
(exec 4>mnt/sub; echo at exit >&4); cat src/sub
cat >"$TMPDIR/t.py" <<'PY'
import os, sys, signal, subprocess
def show(name): print(name, open("src/" + name).read())
try:
    f = open("mnt/quota", "w"); f.write("x"); f.close(); print("no error")
except OSError as e:
    print("close:", os.strerror(e.errno))
fd = os.open("mnt/dup", os.O_WRONLY | os.O_CREAT, 0o644)
other = os.dup(fd)
os.write(fd, b"first"); os.close(fd); show("dup")
os.write(other, b"+"); os.dup2(0, other); show("dup")
fd = os.open("mnt/range", os.O_WRONLY | os.O_CREAT, 0o644)
os.write(fd, b"ranged"); os.closerange(fd, fd + 1); show("range")
fd = os.open("mnt/closed", os.O_WRONLY | os.O_CREAT, 0o444)
os.write(fd, b"read only"); os.close(fd); show("closed")
if os.fork() == 0:
    fd = os.open("mnt/killed", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, b"killed"); os.kill(os.getpid(), signal.SIGKILL)
os.wait()
print("killed", open("mnt/killed").read())
if os.fork() == 0:
    fd = os.open("mnt/exec", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(fd, b"cloexec\n"); os.execv("/bin/cat", ["cat", "src/exec"])
os.wait()
PY
python3 -u "$TMPDIR/t.py"
umount mnt
ended
for line in 'flush /dup' 'release /dup' 'release /killed' destroy; do
  grep -q "^$line" "$MIRROR_LOG" || echo "no $line"
done
BODY
) || die "$got"
assert_eq closes "new
one
same
at exit
close: Disk quota exceeded
dup first
dup first+
range ranged
closed read only
killed killed
cloexec
server 0" "$got"

# The same by profile, where the server is outside of the view.
rm -rf "$W/src" "$T/log" && mkdir "$W/src"
export PATH=$PATH:$P
cat >"$T/run.sh" <<'BODY'
echo new >mnt/n; cat src/n
exec 3>mnt/k; echo one >&3; exec 3>&-; cat src/k
python3 -u - <<'PY'
import os
f = open("mnt/quota", "w")
f.write("x")
try:
    f.close()
except OSError as error:
    print("close:", os.strerror(error.errno))
if os.fork() == 0:
    fd = os.open("mnt/exec", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(fd, b"cloexec\n"); os.execv("/bin/cat", ["cat", "src/exec"])
os.wait()
PY
grep -c '^flush /k' "$MIRROR_LOG"
for _ in $(seq 100); do grep -q '^release /k' "$MIRROR_LOG" && break; sleep 0.05; done
grep -c '^release /k' "$MIRROR_LOG"
BODY
by_profile() {
  (cd "$W" && timeout 60 "$VIEWSH" run --mount "fuse.fuse_mirror:$W/src:$W/mnt" "$@" -- bash "$T/run.sh" 2>&1 |
    grep -v 'Ignoring invalid max threads')
}
expected="new
one
close: Disk quota exceeded
cloexec"
got=$(by_profile) || die "by profile: $got"
assert_eq 'by profile' "$expected" "$(head -n -2 <<<"$got")"
[ "$(tail -n 1 <<<"$got")" -ge 1 ] || die "by profile: no release"
[ "$(tail -n 2 <<<"$got" | head -n 1)" -ge 1 ] || die "by profile: no flush"
# And in a view in which may be mounted.
rm -rf "$W/src" "$T/log" && mkdir "$W/src"
got=$(by_profile --allow mount) || die "with mounts: $got"
assert_eq 'with mounts' "$expected" "$(head -n -2 <<<"$got")"

#!/bin/bash
# A mount that comes or goes is seen at once by those who look names up without a stop, by listings,
# by fstat(2) and by who has a directory open.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir d d/sub e && echo lower >d/f && echo deep >d/sub/f
cat >"$T/body.sh" <<'BODY'
# Enough look-ups for those without a stop to begin, of what is mounted over then.
look() { local i; for i in {1..60}; do test -e d/f; test -e d/sub/f; test -e d/new; done; }
see() { look; echo "$1: $([ -e d/f ] && cat d/f) $([ -e d/sub/f ] && cat d/sub/f) $([ -e d/new ] && cat d/new) [$(ls d)]"; }
see before
mount -t tmpfs none d; see mounted
echo new >d/new; see new
mount --bind e d/new 2>/dev/null || echo not over a file
mount --move d e; see moved; ls e
mount --bind e/ d; see bound
umount d; see unmounted
mount -t tmpfs none d/sub; see below; echo x >d/sub/f; see 'below written'; umount d/sub; see 'below again'
umount e
BODY
"$VIEWSH" run --allow mount --cow / -- bash "$T/body.sh" >"$T/cow" 2>&1
cat >"$T/expected" <<'OUT'
before: lower deep  [f
sub]
mounted:    []
new:   new [new]
not over a file
moved: lower deep  [f
sub]
new
bound:   new [new]
unmounted: lower deep  [f
sub]
below: lower   [f
sub]
below written: lower x  [f
sub]
below again: lower deep  [f
sub]
OUT
diff "$T/expected" "$T/cow" || die 'in a copy-on-write view'
"$VIEWSH" run --allow mount -- bash "$T/body.sh" >"$T/plain" 2>&1
diff "$T/expected" "$T/plain" || die 'in a view of the host'

# That was about look-ups without a stop, if there are any.
cat >"$T/many.sh" <<'BODY'
mount -t tmpfs none e; truncate -s 8M "$TMPDIR/img"; /sbin/mkfs.ext4 -q -F "$TMPDIR/img" && mount "$TMPDIR/img" e
for i in {1..1000}; do test -e d/f; test -e d/none; done
umount e; umount e
BODY
"$VIEWSH" run --allow mount --cow / --stats -- bash "$T/many.sh" 2>"$T/stats" || die 'many look-ups'
count=$(awk '$2 == "newfstatat" {print $3}' "$T/stats")
[ "${count:-0}" -lt 1000 ] || die "look-ups stop: $(cat "$T/stats")"

# One process for all of it, and fstat(2) and directories that stay open.
command -v python3 >/dev/null || exit 0
truncate -s 8M img
/sbin/mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" img || skip 'no mkfs.ext4'
cat >"$T/body.py" <<'BODY'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, at, kind, flags=0, data=None):
    code = lambda text: None if text is None else text.encode()
    if libc.mount(code(source), code(at), code(kind), flags, code(data)): raise OSError(ctypes.get_errno(), at)
def umount(at, flags=0):
    if libc.umount2(at.encode(), flags): raise OSError(ctypes.get_errno(), at)
def look(path):
    for _ in range(40):
        try: found = os.stat(path)
        except FileNotFoundError: found = None
    return found
def opened(path):
    with open(path) as file:
        for _ in range(40): found = os.fstat(file.fileno())
    return found
first = look("d/f"); assert opened("d/f").st_ino == first.st_ino
held = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
mount("img", "d", "ext4")
assert look("d/f") is None and look("d/sub/f") is None
with open("d/f", "w") as file: file.write("image")
assert look("d/f").st_dev != first.st_dev
assert (opened("d/f").st_ino, opened("d/f").st_dev) == (look("d/f").st_ino, look("d/f").st_dev)
assert sorted(os.listdir("d")) == ["f", "lost+found"] and sorted(os.listdir(held)) == ["f", "sub"]
with open(os.open("f", os.O_RDONLY, dir_fd=held)) as file: assert file.read() == "lower\n"
assert os.stat("f", dir_fd=held).st_ino == first.st_ino
umount("d")
assert look("d/f").st_ino == first.st_ino and opened("d/f").st_ino == first.st_ino
mount("img", "e", "ext4", 1)
assert open("e/f").read() == "image"
try: umount("e"); print("unmounted")
except OSError as error: print("busy", error)
BODY
for options in --cow=/ --hide="$W/e/none"; do
  mkdir -p e/none
  out=$("$VIEWSH" run --allow mount "$options" -- python3 "$T/body.py" 2>&1) || die "$options: $out"
  assert_eq "$options" unmounted "$out"
done

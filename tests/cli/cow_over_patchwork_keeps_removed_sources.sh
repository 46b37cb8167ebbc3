#!/bin/bash
# Copy-on-write over a bind or a merge, whose sources the view shows at their own places, too: what is
# open and was removed in the view stays the source's, to the last bit.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
mkdir -p "$W/a/d" "$W/b/d" "$W/place"
echo one >"$W/a/d/one"
echo two >"$W/b/d/two"
mkdir "$W/b/d/empty" "$W/b/d/moved"
before=$(snapshot --exact "$W/a" && snapshot --exact "$W/b")
cat >"$T/change.py" <<'BODY'
import os, sys
os.chdir(sys.argv[1])
def attempt(what, *args):
    try:
        what(*args)
        print("done")
    except OSError as error:
        print(error.strerror)
files = [os.open("d/" + name, os.O_RDONLY) for name in ("one", "two") if os.path.exists("d/" + name)]
path = os.open("d/two", os.O_PATH)
directory = os.open("d/empty", os.O_RDONLY)
moved = os.open("d/moved", os.O_RDONLY)
os.rename("d/two", "d/moved/two")
os.rename("d/moved", "elsewhere")
os.close(os.open("two", os.O_RDONLY, dir_fd=moved))
os.rename("elsewhere/two", "d/two")
for name in os.listdir("d"):
    (os.rmdir if name == "empty" else os.unlink)("d/" + name)
files.append(os.open("/proc/self/fd/%d" % path, os.O_RDONLY))
for fd in files:
    attempt(os.fchmod, fd, 0o600)
    attempt(os.utime, fd, (1, 1))
    attempt(os.setxattr, fd, "user.a", b"1")
attempt(lambda: os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=directory))
attempt(os.fchmod, directory, 0o700)
BODY
for way in "--merge $W/a:$W/b:$W/place" "--bind $W/b:$W/place"; do
  # shellcheck disable=SC2086
  out=$("$VIEWSH" run $way --cow "$W/place" -- python3 "$T/change.py" "$W/place" | sort -u) ||
    die "$way: $out"
  assert_eq "$way" "$(printf 'No such file or directory\nRead-only file system')" "$out"
  assert_eq "the sources of $way" "$before" "$(snapshot --exact "$W/a" && snapshot --exact "$W/b")"
done

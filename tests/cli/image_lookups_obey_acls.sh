#!/bin/bash
# Nothing is known by heart of what lies in a directory which its mode or its ACL shuts to anybody,
# whoever that is; the rest of an image that is only read is.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 debugfs setfacl python3
[ "$(id -u)" -ne 0 ] || skip "root may search every directory"
cd "$W" || exit 1
umask 022
for name in open shut other private; do
  mkdir -p "src/$name/deep"
  for i in $(seq 20); do echo "$i" | tee "src/$name/f$i" "src/$name/deep/g$i" >/dev/null; done
done
mkdir at
chmod 700 src/private
setfacl -m u:12345:--- src/other || skip "no ACLs here"
setfacl -m "u:$(id -u):---" src/shut
truncate -s 8M img
mkfs.ext4 -q -F -d src img || die mkfs
for name in shut open; do debugfs -w -R "sif $name uid 0" img 2>/dev/null && debugfs -w -R "sif $name gid 0" img 2>/dev/null; done
debugfs -R "ea_list shut" img 2>/dev/null | grep -q posix_acl_access || skip "mkfs.ext4 keeps no ACLs"
cat >"$T/ask.py" <<'PY'
import errno, os
os.chdir("at")
here = os.open(".", os.O_RDONLY)
def told(n, fd=None):
    try: return os.lstat(n, dir_fd=fd).st_size
    except OSError as e: return errno.errorcode[e.errno]
for _ in range(50):
    for i in range(1, 21):
        size = 2 if i < 10 else 3
        for fd in (None, here):
            for d in ("open", "other", "private"):
                assert told(d + "/f%d" % i, fd) == told(d + "/deep/g%d" % i, fd) == size
            assert told("shut/f%d" % i, fd) == told("shut/deep/g%d" % i, fd) == "EACCES"
            assert told("shut/none", fd) == "EACCES" and told("open/none", fd) == "ENOENT"
print("all right")
PY
"$VIEWSH" run --stats --mount "ext4:img:$W/at:ro" -- python3 "$T/ask.py" >"$T/out" 2>"$T/stats" || die "$(cat "$T/out" "$T/stats")"
assert_eq "the program" "all right" "$(cat "$T/out")"
# Of 20000 calls 6000 are refused, and 8000 are about what not everybody may know.
stops=$(awk '$2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
[ "$stops" -ge 14000 ] && [ "$stops" -lt 15000 ] || die "$stops stops"

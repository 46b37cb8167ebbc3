#!/bin/bash
# Nothing is known by heart of what lies in a directory whose ACL shuts somebody out; the rest of an
# image that is only read is.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 debugfs setfacl python3
[ "$(id -u)" -ne 0 ] || skip "root may search every directory"
cd "$W" || exit 1
umask 022
mkdir -p src/open/deep src/shut/deep at
for i in $(seq 20); do echo "$i" | tee src/open/f"$i" src/open/deep/g"$i" src/shut/f"$i" src/shut/deep/g"$i" >/dev/null; done
setfacl -m "u:$(id -u):---" src/shut || skip "no ACLs here"
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
            assert told("open/f%d" % i, fd) == told("open/deep/g%d" % i, fd) == size
            assert told("shut/f%d" % i, fd) == told("shut/deep/g%d" % i, fd) == "EACCES"
            assert told("shut/none", fd) == "EACCES" and told("open/none", fd) == "ENOENT"
print("all right")
PY
"$VIEWSH" run --stats --mount "ext4:img:$W/at:ro" -- python3 "$T/ask.py" >"$T/out" 2>"$T/stats" || die "$(cat "$T/out" "$T/stats")"
assert_eq "the program" "all right" "$(cat "$T/out")"
# Of 12000 calls half are refused, each by a stop.
stops=$(awk '$2 == "newfstatat" {n += $3} END {print n + 0}' "$T/stats")
[ "$stops" -ge 6000 ] && [ "$stops" -lt 7000 ] || die "$stops stops"

#!/bin/bash
# Times that 64 bits of nanoseconds can't hold come through views, snapshots and commits.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
put='
import os, sys
for name, seconds in (("far", 13569465600), ("old", -11644473600), ("near", 1700000000)):
    for path in (name, name + ".kept", name + ".d"):
        if os.path.exists(path):
            os.utime(path, ns=(seconds * 10**9 + 5, seconds * 10**9 + 123456789))
'
get='
import os
for path in sorted(os.listdir(".")):
    if "." in path or path in ("far", "old", "near"):
        s = os.stat(path)
        print(path, s.st_mtime_ns, s.st_atime_ns)
'
times() { python3 -c "$get"; }
for n in far old near; do echo 1 >$n.kept; mkdir $n.d; done
python3 -c "$put"
kept=$(times)
# A file system of its own may not have them at all (ext4 ends in 2446, others in 2038).
[ "$(stat -c %Y far.kept)" = 13569465600 ] || skip "no such times on $(stat -f -c %T .)"
"$VIEWSH" run --cow / --layer t -- sh -c '
  for n in far old near; do echo new >$n; chmod 600 $n.kept; echo x >$n.d/x; done; python3 -c "$1"' - "$put" ||
  die "run"
view=$("$VIEWSH" run --cow / --layer t -- python3 -c "$get")
assert_eq "untouched below" "$(sed 's/ [^ ]*$//' <<<"$kept")" "$(times | sed 's/ [^ ]*$//')"
"$VIEWSH" snapshot t s >/dev/null || die "snapshot"
"$VIEWSH" run --cow / --layer t -- touch far old near far.kept || die "touch"
"$VIEWSH" restore t s >/dev/null || die "restore"
assert_eq "restored" "$(sed 's/ [^ ]*$//' <<<"$view")" \
  "$("$VIEWSH" run --cow / --layer t -- python3 -c "$get" | sed 's/ [^ ]*$//')"
"$VIEWSH" commit t >/dev/null || die "commit"
assert_eq "committed" "$(sed 's/ [^ ]*$//' <<<"$view")" "$(times | sed 's/ [^ ]*$//')"
assert_contains "far" "$(times)" '^far 13569465600123456789 '

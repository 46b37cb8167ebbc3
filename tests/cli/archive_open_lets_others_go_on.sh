#!/bin/bash
# A big file of a compressed archive is unpacked when it is opened: meanwhile other processes of the view go
# on, in the same archive, too; who is killed while it waits leaves nothing half done.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3 tar gzip
mkdir "$W/in" "$W/mnt"
python3 - "$W/in/big" <<'P'
import sys
with open(sys.argv[1], "wb") as f:
    for i in range(4800): f.write((b"%08d lines of no interest\n" % i) * 4096)
P
echo small >"$W/in/small"
tar -C "$W/in" --sort=name -c . | gzip -1 >"$W/a.tar.gz"
sum=$(sha256sum <"$W/in/big")
cat >"$T/look.py" <<'P'
import os, subprocess, sys, threading, time
mnt, here = sys.argv[1], sys.argv[2]
open(here + "/file", "w").close()
opened = []
def take():
    begin = time.monotonic()
    os.close(os.open(mnt + "/big", os.O_RDONLY))
    opened.append(time.monotonic() - begin)
taker = threading.Thread(target=take)
longest = count = 0
taker.start()
while taker.is_alive():
    begin = time.monotonic()
    os.stat(mnt + "/small"); os.chmod(here + "/file", 0o600); os.listdir(mnt)
    longest = max(longest, time.monotonic() - begin)
    count += 1
taker.join()
print("open took %.3f s; meanwhile %d rounds of others, the longest %.3f s" % (opened[0], count, longest))
# Most of them wait for nobody; how long one takes hangs on what else the machine does.
assert count >= 5 and longest < opened[0] * 0.7, "others waited"
P
ask() { (cd "$W" && "$VIEWSH" run --mount "tar:$W/a.tar.gz:$W/mnt" "$@"); }
out=$(ask --tmpfs "$W/here" -- python3 "$T/look.py" "$W/mnt" "$W/here" 2>&1) || die "others: $out"
echo "$out"
# Killed in the middle; then it is all there, for two who want it at once, and through a copy-on-write.
killed='timeout -s KILL 0.05 cat mnt/big >/dev/null; echo $?; cat mnt/small; timeout -s INT 0.05 cat mnt/big >/dev/null; echo $?'
assert_eq killed "137
small
124
$sum
$sum" "$(ask -- bash -c "$killed; sha256sum <mnt/big & sha256sum <mnt/big; wait" 2>/dev/null)"
assert_eq 'through a copy-on-write' "small
$sum
small
more" "$(ask --cow "$W/mnt" -- bash -c 'timeout -s KILL 0.05 sh -c "echo >>mnt/big"; cat mnt/small; sha256sum <mnt/big; echo more >>mnt/small; cat mnt/small')"

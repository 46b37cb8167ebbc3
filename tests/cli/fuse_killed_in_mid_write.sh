#!/bin/bash
# A server that is killed while it writes leaves an error; when viewsh is, all processes go: those
# of the view, and servers of a profile.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse_raw.sh"
got=$(in_view <<'BODY'
raw read 1
python3 - <<'PY' &
import os
fd = os.open("mnt/f1", os.O_WRONLY)
os.write(fd, b"lost")
open("written", "w").close()
try:
    os.close(fd)
except OSError as error:
    print("close:", os.strerror(error.errno))
PY
waits=$!
for _ in $(seq 400); do [ -e written ] && break; sleep 0.05; done
sleep 0.3
kill -KILL "$s"
wait "$waits"
ls mnt; umount mnt && echo gone
BODY
) || die "$got"
assert_eq "the server" "close: Software caused connection abort
ls: cannot access 'mnt': Transport endpoint is not connected
gone" "$(grep -v Killed <<<"$got")"

# left: processes of the scenario that call themselves so.
left() {
  local file pid
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/} pid=${pid%/environ}
    if [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ]; then continue; fi
    grep -qzxF "$1" "$file" 2>/dev/null && echo "$pid"
  done
}
none_left() { [ -z "$(left WHO=victim)" ]; }
rm -f "$LOG"
cat "$T/body.sh" - >"$T/run.sh" <<'BODY'
raw read 30
echo lost >>mnt/f1 & # 30 seconds
touch ready
wait
BODY
(cd "$W" && WHO=victim exec "$VIEWSH" run --allow mount -- bash "$T/run.sh" >/dev/null 2>&1) &
engine=$!
wait_for 30 test -e "$W/ready"
sleep 0.5
kill -KILL "$engine"
wait "$engine" 2>/dev/null
wait_for 15 none_left

[ -x "$P/fuse_mirror" ] || exit 0
mkdir "$W/src"
export PATH=$PATH:$P
(cd "$W" && WHO=victim exec "$VIEWSH" run --mount "fuse.fuse_mirror:$W/src:$W/mnt" -- sh -c 'while :; do echo lost; [ -e src/ready ] || echo x >mnt/ready; done >mnt/big' >/dev/null 2>&1) &
engine=$!
wait_for 30 test -e "$W/src/ready"
kill -KILL "$engine"
wait "$engine" 2>/dev/null
wait_for 15 none_left

# shellcheck shell=bash
# For scenarios with a server whose every packet is ours (programs/raw_fuse.py). In the view: raw [WAIT
# [SECONDS]] mounts it on mnt, its number is $s, its log $LOG; ms is the time in milliseconds.
export RAW=$S/tests/programs/raw_fuse.py LOG=$T/log
mkdir "$W/mnt"
cat >"$T/body.sh" <<'BODY'
raw() {
  python3 "$RAW" mnt "${1:-read}" "${2:-0}" "$LOG" &
  s=$!
  for _ in $(seq 400); do
    grep -q " $PWD/mnt fuse" /proc/mounts && return
    sleep 0.05
  done
  echo "not mounted"
  exit 1
}
ended() { # what became of the server
  wait "$s"
  echo "server $?"
}
ms() { echo $(($(date +%s%N) / 1000000)); }
BODY
# in_view <body
in_view() {
  cat "$T/body.sh" - >"$T/run.sh"
  (cd "$W" && timeout 90 "$VIEWSH" run --allow mount --kill-on-exit -- bash "$T/run.sh" 2>&1)
}

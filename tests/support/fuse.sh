# shellcheck shell=bash
# For scenarios with FUSE servers. $T/body.sh is what runs in the view: mirror [OPTION...] starts a
# server in the background that shows src at mnt, whose number is then $s.
cat >"$T/body.sh" <<BODY
M="$P/fuse_mirror"
cd "$W" || exit 1
BODY
cat >>"$T/body.sh" <<'BODY'
mounted() {
  for _ in $(seq 200); do
    grep -q " $PWD/${1:-mnt} fuse" /proc/mounts && return
    sleep 0.05
  done
  echo "not mounted: ${1:-mnt}"
  exit 1
}
mirror() {
  "$M" "$PWD/src" mnt -f "$@" &
  s=$!
  mounted
}
ended() { # what became of the server
  wait "$s"
  echo "server $?"
}
BODY
mkdir "$W/src" "$W/mnt"
[ -x "$P/fuse_mirror" ] || skip "libfuse3 isn't there to build a server with"
# in_view: the rest of the body comes from standard input.
in_view() {
  cat "$T/body.sh" - >"$T/run.sh"
  # libfuse 3.14 complains of a default of its own.
  timeout "${1:-60}" "$VIEWSH" run --allow mount -- bash "$T/run.sh" 2>&1 |
    grep -v -e 'Ignoring invalid max threads' -e ' Killed  ' || [ "${PIPESTATUS[0]}" = 0 ]
}

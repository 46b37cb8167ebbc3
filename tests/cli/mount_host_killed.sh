#!/bin/bash
# A kill -9 of mount-host in the midst of work leaves its layer whole, and lets go of it; a SIGTERM
# ends it as an umount does.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
cd "$W" || exit 1
mkdir tree
for i in $(seq 50); do echo "$i" >"tree/f$i"; done
profile="mounts:
  - {type: cow, at: $W/tree, layer: t}"
shown=$W/mnt$W/tree
serve "$profile"
echo kept >"$shown/synced" && sync "$shown/synced" || die "sync"
(for i in $(seq 5000); do echo "$i" >"$shown/n$i" && mv "$shown/n$i" "$shown/m$i" && rm -f "$shown/f$((i % 50))" || exit; done) 2>/dev/null &
worker=$!
wait_for 30 test -e "$shown/m20"
server=$(pgrep -f "mount-host .*$W/p.yaml $W/mnt")
kill -KILL "$server"
wait "$worker"
ls mnt >/dev/null 2>"$T/err" && die "there is still an answer"
fusermount3 -u mnt || die "umount of what has no server"
assert_eq "verified" "t: good" "$("$VIEWSH" layers --verify t 2>&1)"
serve "$profile"
assert_eq "what was synced" kept "$(cat "$shown/synced")"
echo last >"$shown/last"
kill -TERM "$(pgrep -f "mount-host .*$W/p.yaml $W/mnt")"
wait_for 30 is_over
mountpoint -q mnt && die "still mounted after SIGTERM"
assert_eq "after SIGTERM" "t: good" "$("$VIEWSH" layers --verify t)"
"$VIEWSH" mount-host --foreground p.yaml mnt &
wait_for 30 mountpoint -q mnt
assert_eq "in the foreground" last "$(cat "$shown/last")"
fusermount3 -u mnt
wait $! || die "exit status in the foreground"

#!/bin/bash
# /dev/fuse without a mount: read(2) is EPERM before it and ENODEV after it, and poll(2) and its kin
# see POLLERR, for servers that don't block, too.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse_raw.sh"
for how in read poll select epoll; do
  rm -f "$LOG"
  got=$(how=$how in_view <<'BODY'
raw "$how"
cat mnt/f3
sleep 0.3 # it waits
umount mnt
ended
BODY
  ) || die "$how: $got"
  assert_eq "$how" "content of f3
server 0" "$got"
  case $how in
    epoll) expected='end: ENODEV 8' ;;
    poll) expected='before: EPERM
before: poll 8
end: ENODEV 8' ;;
    *) expected='before: EPERM
before: poll 8
end: ENODEV 0' ;;
  esac
  assert_eq "$how" "$expected" "$(grep -v flush "$LOG")"
done

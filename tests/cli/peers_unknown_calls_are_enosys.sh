#!/bin/bash
# A call that the view does not know is ENOSYS, never passed on.
. "$(dirname "$0")/../support/lib.sh"
needs_view
assert_eq "numbers of no call" "$(printf 'ENOSYS\nENOSYS\nENOSYS')" \
  "$("$VIEWSH" run --cow / -- "$P/syscall_number" 1000 500 0x3fffffff)"
# fsopen, fsmount, open_tree, move_mount, fsconfig, io_uring_enter
assert_eq "the new mount calls" 6 \
  "$("$VIEWSH" run --cow / -- "$P/syscall_number" 430 432 428 429 431 426 | grep -c ENOSYS)"

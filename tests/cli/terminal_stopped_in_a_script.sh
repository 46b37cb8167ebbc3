#!/bin/bash
# Where nobody waits for viewsh to stop, it goes on serving: COMMAND, stopped by SIGSTOP, is continued
# from within the view.
. "$(dirname "$0")/../support/lib.sh"
needs_view
for view in "--cow /" "--cow / --stats"; do
  # shellcheck disable=SC2086
  got=$(timeout 20 "$VIEWSH" run $view -- sh -c '(sleep 0.5; kill -CONT $$) & kill -STOP $$; cat /dev/null; echo back' 2>/dev/null) ||
    die "it isn't continued"
  assert_eq "continued" back "$got"
done
assert_eq "plain" back "$(timeout 20 "$VIEWSH" run -- sh -c '(sleep 0.5; kill -CONT $$) & kill -STOP $$; echo back')"

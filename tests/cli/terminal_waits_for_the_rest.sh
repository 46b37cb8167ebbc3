#!/bin/bash
# COMMAND ends and leaves processes behind: a terminal is told that viewsh waits for them. Ctrl-Z and
# bg give the prompt back, Ctrl-C ends them; the status is COMMAND's. Nothing is said elsewhere.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
needs_view
printf 'PS1="ready> "\nPROMPT_COMMAND=\nbind "set enable-bracketed-paste off" 2>/dev/null\n' >"$HOME/.bashrc"
term_start env -C "$W" TERM=screen bash --noprofile --rcfile "$HOME/.bashrc" -i
term_wait '^ready>'
leave="sh -c 'setsid sleep 301 & setsid sleep 302 & exit 3'"
term_line "$VIEWSH run --cow / -- $leave; echo \"status \$?\""
term_wait '^viewsh: waiting for 2 processes of the view'
term_send C-c
term_wait 'status 3$'
assert_eq "they are gone" "" "$(pgrep -u "$(id -u)" -f 'sleep 30[12]' || true)"
# One that doesn't end when it is told to.
term_line "clear; $VIEWSH run --cow / -- sh -c 'trap \"\" TERM; setsid sleep 303 & exit 4'; echo \"status \$?\""
term_wait '^viewsh: waiting for 1 process of the view'
term_send C-c
sleep 0.3
term_send C-c
term_wait 'status 4$'
assert_eq "it is gone" "" "$(pgrep -u "$(id -u)" -f 'sleep 303' || true)"
term_line "clear; $VIEWSH run --cow / -- $leave"
term_wait '^viewsh: waiting for 2 processes of the view'
term_send C-z
term_wait 'Stopped'
term_line 'clear; bg; echo "prompt $((30 + 1))"'
term_wait '^prompt 31$'
term_line 'fg'
term_send C-c
term_line 'echo "status $?"'
term_wait 'status 3$'
# What ends by itself in a moment is not worth a line, nor is what nobody sees.
term_line "clear; $VIEWSH run --cow / -- sh -c 'setsid sleep 0.2 & exit 5'; echo \"status \$?\""
term_wait 'status 5$'
term_lacks 'waiting' || die "said too early"
"$VIEWSH" run --cow / -- sh -c 'setsid sleep 1 >/dev/null & exit 6' 2>"$T/err"
assert_eq "no terminal" "" "$(cat "$T/err")"

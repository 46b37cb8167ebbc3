#!/bin/bash
# Ctrl-C at the question of try: nothing is committed, the layer is kept, and that is said; 130.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
needs_view
echo old >"$W/f"
printf 'PS1="ready> "\nPROMPT_COMMAND=\nbind "set enable-bracketed-paste off" 2>/dev/null\n' >"$HOME/.bashrc"
term_start env -C "$W" TERM=screen bash --noprofile --rcfile "$HOME/.bashrc" -i
term_wait '^ready>'
try="$VIEWSH try --layer"
# Ctrl-Z first: the question can wait.
term_line "$try one sh -c 'echo new >f'"
term_wait '\[c\]ommit'
term_send C-z
term_wait 'Stopped'
term_prompt
term_line 'clear; fg'
term_wait 'viewsh try'
term_send C-c
term_wait 'kept as layer one'
term_prompt
term_line 'echo "status $?"'
term_wait 'status 130$'
assert_eq "not committed" old "$(cat "$W/f")"
assert_contains "the layer" "$("$VIEWSH" diff one)" "M $W/f"
# A shell that was killed had the terminal to itself: the question is asked all the same.
term_line "clear; $try killed bash --norc -i"
term_wait '^bash-[0-9.]+.'
term_line 'echo new >f; kill -KILL $$'
term_wait '\[c\]ommit'
term_line 'd'
term_wait '^viewsh: discarded$'
term_prompt
assert_eq "not committed" old "$(cat "$W/f")"
# Another signal that ends programs is no answer either.
term_line "clear; $try two sh -c 'echo new >f'; echo \"status \$?\""
term_wait '\[c\]ommit'
pid=$(pgrep -u "$(id -u)" -f "try --layer two" | head -1)
kill -TERM "$pid"
term_wait 'kept as layer two'
term_wait 'status 143$'
assert_eq "not committed" old "$(cat "$W/f")"
# An answer is one as before.
term_line "clear; $try three sh -c 'echo new >f'; echo \"status \$?\""
term_wait '\[c\]ommit'
term_line 'c'
term_wait 'status 0$'
assert_eq "committed" new "$(cat "$W/f")"

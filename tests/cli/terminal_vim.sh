#!/bin/bash
# vim: opens, edits, writes and quits; the real file stays, the view has the new one.
. "$(dirname "$0")/../support/lib.sh"
needs_view
editor=$(command -v vim || command -v vim.tiny || command -v vi) || skip "no vim"
. "$support/terminal.sh"
printf 'first\nsecond\nthird\n' >"$W/text"
term_shell
term_line "$editor -u NONE -N text"
term_wait '^second$'
term_send -l 'jA and more'
term_send Escape
term_wait '^second and more$'
term_send -l ':1d'
term_send Enter
term_resize 70 20
term_send -l ':w'
term_send Enter
term_wait 'written'
term_send -l ':!echo from a shell'
term_send Enter
term_wait '^from a shell$'
term_send Enter
term_send C-z
term_wait 'Stopped'
term_line 'fg'
term_wait '^third$'
term_send -l ':wq'
term_send Enter
term_prompt
term_line 'clear; cat text'
term_wait '^second and more$'
assert_eq "the real file" "$(printf 'first\nsecond\nthird')" "$(cat "$W/text")"

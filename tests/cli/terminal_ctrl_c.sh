#!/bin/bash
# Ctrl-C ends the foreground program and only that; a handler in the program runs.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
term_shell
term_line 'echo started; cat'
term_wait '^started$'
term_send C-c
term_line 'echo status $?'
term_wait '^status 130$'
term_line 'clear; (echo waiting; sleep 1000) | cat'
term_wait '^waiting$'
term_send C-c
term_line 'echo still here'
term_wait '^still here$'
term_line 'sh -c "trap \"echo caught; exit 9\" INT; echo armed; while :; do sleep 0.1; done"; echo "status $?"'
term_wait '^armed$'
term_send C-c
term_wait '^status 9$'
term_wait 'caught$'

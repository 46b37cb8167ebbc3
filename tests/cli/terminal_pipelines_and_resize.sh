#!/bin/bash
# Pipelines in the foreground are one job; a resize reaches the program.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
term_shell
term_line 'seq 1 100000 | sort -n | tail -1'
term_wait '^100000$'
term_line 'echo a | cat | tr a b | cat - | sed s/b/c/'
term_wait '^c$'
term_line 'yes | head -3 | wc -l; echo "${PIPESTATUS[@]}"'
term_wait '^141 0 0$'
term_line 'cat | cat | cat'
term_send -l 'through three'
term_send Enter
term_wait '^through three$'
term_send C-z
term_wait 'Stopped'
term_line 'clear; fg'
term_wait '^cat . cat . cat$'
term_send C-d
term_line 'clear; stty size'
term_wait '^24 80$'
term_resize 100 30
term_line 'trap "echo resized" WINCH; stty size'
term_wait '^30 100$'
term_resize 90 20
term_line ''
term_wait 'resized$'
term_line 'stty size; echo $COLUMNS'
term_wait '^20 90$'

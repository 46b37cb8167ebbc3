#!/bin/bash
# Ctrl-Z, jobs, bg, fg, kill %1, wait, SIGTTIN of a background reader.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
term_shell
term_line 'cat'
term_send -l 'typed'
term_send Enter
term_wait '^typed$'
term_send C-z
term_wait 'Stopped +cat'
term_line 'jobs | grep -c Stopped'
term_wait '^1$'
term_line 'fg'
term_send -l 'again'
term_send Enter
term_wait '^again$'
term_send C-z
term_line 'clear'
term_line 'bg'
term_line 'until jobs | grep -q Stopped; do sleep 0.05; done; echo "reads: SIGTTIN"'
term_wait '^reads: SIGTTIN$'
term_line 'kill %1; while jobs %1 >/dev/null 2>&1; do sleep 0.05; done; echo "it ended"'
term_wait '^it ended$'
term_line 'clear; sh -c "echo loop; while :; do sleep 0.1; done"'
term_wait '^loop$'
term_send C-z
term_wait 'Stopped'
term_line 'bg; jobs'
term_wait 'Running'
term_line 'fg'
term_send C-c
term_line 'jobs; echo "none left"'
term_wait '^none left$'

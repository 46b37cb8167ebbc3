#!/bin/bash
# Interactive bash in a view: editing, history, completion of file names.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
echo found >"$W/a_long_file_name"
term_shell
term_line 'echo one'
term_wait '^one$'
term_send -l 'echo wrong'
term_send C-w
term_send -l 'right'
term_send C-a M-f
term_send -l ' all'
term_send Enter
term_wait '^all right$'
term_send Up Enter
term_send -l 'cat a_lo'
term_send Tab
term_wait 'cat a_long_file_name'
term_send Enter
term_wait '^found$'
term_line 'tty | grep -c /dev/pts; test -t 0 && test -t 1 && echo terminal'
term_wait '^terminal$'
term_line 'exit'

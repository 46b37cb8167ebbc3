#!/bin/bash
# less: pages, searches, goes to the end, quits; then the shell is there again.
. "$(dirname "$0")/../support/lib.sh"
need less
. "$support/terminal.sh"
seq -f 'line %g of the text' 1 500 >"$W/text"
term_shell
term_line 'less text'
term_wait '^line 20 of the text$'
term_send Space
term_wait '^line 40 of the text$'
term_send -l '/line 333'
term_send Enter
term_wait '^line 333 of the text$'
term_send G
term_wait '^line 500 of the text$'
term_resize 60 15
# less drops the key that comes in the same moment as the new size.
top() {
  term_send g
  sleep 0.5
  term_shows '^line 1 of the text$'
}
wait_for 20 top
term_send C-z
term_wait 'Stopped'
term_line 'fg'
term_wait '^line 1 of the text$'
term_send q
term_prompt
term_line 'echo back'
term_wait '^back$'

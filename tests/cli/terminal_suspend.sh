#!/bin/bash
# A shell as COMMAND that stops itself (suspend, kill -STOP $$) stops viewsh, too: the calling shell
# has its prompt back, fg gives the terminal to the shell inside. Traced or not, and after bg.
. "$(dirname "$0")/../support/lib.sh"
. "$support/terminal.sh"
for name in outer inner; do
  printf 'PS1="%s> "\nPROMPT_COMMAND=\nbind "set enable-bracketed-paste off" 2>/dev/null\n' "$name" >"$T/$name.rc"
done
cat >"$T/own_group.pl" <<'PERL'
use POSIX;
setpgrp(0, 0);
$SIG{TTOU} = "IGNORE";
POSIX::tcsetpgrp(0, $$);
kill STOP => $$;
$_ = <STDIN>;
print "got $_";
PERL
inner="bash --noprofile --rcfile $T/inner.rc -i"
term_start env -C "$W" TERM=screen bash --noprofile --rcfile "$T/outer.rc" -i
term_wait '^outer>'
last_line() { # PROMPT
  local end=$((SECONDS + 20))
  until [ "$(term_screen | grep . | tail -1)" = "$1>" ]; do
    [ "$SECONDS" -lt "$end" ] || { term_screen | grep -n .; die "no prompt of the $1 shell"; }
    sleep 0.05
  done
}
views=("$VIEWSH run --cow / --" "$VIEWSH run --")
[ -z "${VIEWSH_TEST_NATIVE-}" ] || views=("")
for view in "${views[@]}"; do
  term_line "clear; $view $inner"
  last_line inner
  for stop in suspend 'kill -STOP $$'; do
    term_line "clear; $stop"
    last_line outer
    term_line 'clear; jobs | grep -c Stopped; echo "sum $((40 + 2))"'
    term_wait '^sum 42$'
    term_wait '^1$'
    term_line 'clear; fg'
    last_line inner
    # The shell inside reads from the terminal and has its foreground: its jobs can be interrupted.
    term_line 'clear; sh -c "echo sleeps; exec sleep 300"'
    term_wait '^sleeps$'
    term_send C-c
    last_line inner
    term_line 'echo "sum $((50 + 3))"'
    term_wait '^sum 53$'
  done
  term_line 'clear; exit 7'
  last_line outer
  term_line 'echo "status $?"'
  term_wait 'status 7$'
  # Continued in the background, a COMMAND with a process group of its own stops again as soon as it
  # reads from the terminal, and viewsh with it; fg then gives it the terminal.
  term_line "clear; $view perl $T/own_group.pl"
  term_wait 'Stopped'
  last_line outer
  term_line 'clear; bg; until jobs | grep -q Stopped; do sleep 0.05; done; echo "stopped again"'
  term_wait '^stopped again$'
  last_line outer
  term_line 'clear; fg'
  term_wait 'own_group.pl$'
  term_line 'typed'
  term_wait '^got typed$'
  last_line outer
done

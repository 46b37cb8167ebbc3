# shellcheck shell=bash
# Sourced after lib.sh: a program in a terminal of its own (a private tmux server).

# term_start COMMAND...: 80 by 24; the program's exit closes it.
term_start() {
  need tmux
  term_socket=$T/tmux.sock
  trap term_end EXIT
  tmux -S "$term_socket" -f /dev/null new-session -d -x 80 -y 24 "$@" || die "tmux does not start"
}
term_end() {
  tmux -S "$term_socket" kill-server 2>/dev/null
  return 0
}
# term_send KEY...: as tmux send-keys names them.
term_send() { tmux -S "$term_socket" send-keys "$@"; }
term_line() { # TEXT: typed, and Enter
  tmux -S "$term_socket" send-keys -l -- "$1"
  tmux -S "$term_socket" send-keys Enter
}
# The screen's lines; one that is wider than the terminal is one line all the same: how long the
# paths in it are differs from machine to machine.
term_screen() { tmux -S "$term_socket" capture-pane -p -J | sed 's/ *$//'; }
term_shows() { grep -qE -- "$1" <<<"$(term_screen)"; }
term_lacks() { ! term_shows "$1"; }
term_wait() { # REGEX: until a line of the screen matches
  local end=$((SECONDS + 20))
  until term_shows "$1"; do
    if [ "$SECONDS" -ge "$end" ]; then
      term_screen | grep -n .
      die "the screen never shows /$1/"
    fi
    sleep 0.05
  done
}
# term_prompt: until the last line is the shell's prompt. What is typed before a full-screen program
# has given the terminal back may be flushed.
term_prompt() {
  local end=$((SECONDS + 20))
  until [ "$(term_screen | grep . | tail -1)" = "ready>" ]; do
    [ "$SECONDS" -lt "$end" ] || { term_screen | grep -n .; die "the prompt does not come back"; }
    sleep 0.05
  done
}
term_resize() { # COLUMNS LINES
  tmux -S "$term_socket" resize-window -x "$1" -y "$2"
}
# term_shell: an interactive bash in a copy-on-write view, with the prompt "ready>".
term_shell() {
  local view=("$VIEWSH" run --cow / --)
  [ -z "${VIEWSH_TEST_NATIVE-}" ] || view=()
  printf 'PS1="ready> "\nPROMPT_COMMAND=\nbind "set enable-bracketed-paste off" 2>/dev/null\n' >"$HOME/.bashrc"
  term_start env -C "$W" TERM=screen ${view[@]+"${view[@]}"} bash --noprofile --rcfile "$HOME/.bashrc" -i
  term_wait '^ready>'
}

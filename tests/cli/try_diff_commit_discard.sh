#!/bin/bash
# try says what changed; diff --patch shows it; commit of one path applies just that; discard the rest.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$HOME/Documents/old"
printf 'alias a=b\nexport X=1\n' >"$HOME/.bashrc"
echo letter >"$HOME/Documents/letter"
cd "$HOME" || exit 1
before=$(snapshot --exact "$HOME")
"$VIEWSH" try --layer t -- sh -c \
  'sed -i s/X=1/X=2/ ~/.bashrc; rm -r ~/Documents; mkdir ~/new; echo text >~/new/file; echo said' \
  >"$T/out" 2>"$T/err" </dev/null || die "try: $(cat "$T/err")"
assert_eq "the command's output" said "$(cat "$T/out")"
for path in .bashrc Documents new; do assert_contains "summary" "$(cat "$T/err")" "$HOME/$path"; done
assert_eq "nothing real changed" "$before" "$(snapshot --exact "$HOME")"
patch=$("$VIEWSH" diff --patch t) || die "diff"
assert_contains "removed line" "$patch" '^-export X=1$'
assert_contains "added line" "$patch" '^\+export X=2$'
assert_contains "new file" "$patch" '^\+text$'
assert_contains "deleted file" "$patch" '^-letter$'
assert_contains "listing" "$("$VIEWSH" diff t)" "D $HOME/Documents"
assert_lacks "one path" "$("$VIEWSH" diff t "$HOME/new")" 'bashrc'
"$VIEWSH" commit --dry-run t >/dev/null || die "dry run"
assert_eq "dry run" "$before" "$(snapshot --exact "$HOME")"
"$VIEWSH" commit t "$HOME/.bashrc" >/dev/null || die "commit"
assert_eq "committed" "$(printf 'alias a=b\nexport X=2')" "$(cat .bashrc)"
assert_eq "the rest is not" letter "$(cat Documents/letter)"
[ ! -e new ] || die "more than was asked for was committed"
assert_lacks "what is left" "$("$VIEWSH" diff t)" 'bashrc'
"$VIEWSH" discard t >/dev/null || die "discard"
assert_lacks "layers" "$("$VIEWSH" layers 2>&1)" '(^| )t( |$)'
assert_eq "kept" letter "$(cat Documents/letter)"

#!/usr/bin/env bash
# A program is compiled and run; the directory that gets it is real.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need gcc

cat >"$W/hello.c" <<'X'
#include <stdio.h>
#include <stdlib.h>
int main(void) { printf("hello %d\n", abs(-4)); return 7; }
X
relearn gcc sh -c 'gcc -O1 -o hello hello.c && ./hello'
assert_eq 'exit status' 7 "$(cat "$T/again.status")"
assert_contains 'the directory' "$learned" 'bind, at: \$PWD, source: \$PWD\}'
rm "$W/hello"
(cd "$W" && "$VIEWSH" run -p "$T/gcc.yaml" -- sh -c 'gcc -O1 -o hello hello.c') || die "gcc again"
[ -x "$W/hello" ] || die "the program isn't there"
(cd "$W" && not_there "$T/gcc.yaml" /usr/bin/perl /etc/passwd)

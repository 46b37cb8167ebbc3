#!/bin/bash
# --trace: a line for each trapped call; --trace=FILE keeps it apart.
. "$(dirname "$0")/../support/lib.sh"
needs_view
echo text >"$W/f"
cd "$W" || exit 1
"$VIEWSH" run --cow / "--trace=$T/trace" -- cat f none >"$T/out" 2>/dev/null
assert_eq "output" text "$(cat "$T/out")"
assert_contains "the open" "$(cat "$T/trace")" 'open.*"f"'
assert_contains "the failure" "$(cat "$T/trace")" 'none.*ENOENT'
# Arguments as the call has them, the result, what became of it; one line for a call, also for the
# first one of a program, which has to wait until memory is mapped for it.
assert_contains "open" "$(cat "$T/trace")" '^[0-9]+ openat\(AT_FDCWD, "f", 0, 0\) = [3-9]  \[as is\]$'
assert_contains "no open" "$(cat "$T/trace")" \
  '^[0-9]+ openat\(AT_FDCWD, "none", 0, 0\) = -1 ENOENT \(No such file or directory\)  \['
assert_contains "exec" "$(cat "$T/trace")" '^[0-9]+ execve\("/[a-z/]*/cat", 0x[0-9a-f]+, 0x[0-9a-f]+\) = 0  \['
assert_lacks "every result" "$(cat "$T/trace")" ' = \?'
assert_eq "every line" "" "$(grep -vE '^[0-9]+ [a-z0-9_]+\(.*\) = (-?[0-9]+|-1 E[A-Z0-9]+ \([^)]*\))  \[(as is|answered|rewritten(: ".*")?)\]$' "$T/trace" || true)"
"$VIEWSH" run --bind "$W:/opt/w" "--trace=$T/trace" -- sh -c 'cat /opt/w/f; mkdir -m 750 d; mkdir /opt/w/e; exec sleep 0' >"$T/out"
assert_eq "one line" 1 "$(grep -c '"/opt/w/f"' "$T/trace")"
assert_contains "the host path" "$(cat "$T/trace")" \
  "openat\(AT_FDCWD, \"/opt/w/f\", 0, 0\) = [3-9]  \[rewritten: \"$W/f\"\]\$"
assert_contains "octal" "$(cat "$T/trace")" 'mkdir\("d", 0(777|750)\) = 0  '
assert_contains "again octal" "$(cat "$T/trace")" "mkdir\(\"/opt/w/e\", 0777\) = 0  \[rewritten: \"$W/e\"\]"
assert_eq "as many calls" "$(grep -vc -- ' --- ' "$T/trace")" \
  "$(cd "$W" && rm -r d e && "$VIEWSH" run --bind "$W:/opt/w" "--trace=$T/other" --stats -- sh -c 'cat /opt/w/f; mkdir -m 750 d; mkdir /opt/w/e; exec sleep 0' 2>&1 >/dev/null | sed -n 's/^viewsh: trapped calls: //p')"
# A call that is cut off has no result; one that a signal interrupted has one when it is over.
mkfifo fifo
"$VIEWSH" run --cow / "--trace=$T/trace" -- timeout 0.5 cat fifo >/dev/null 2>&1
assert_eq "cut off" 1 "$(grep -c '"fifo".* = ?  ' "$T/trace")"
"$VIEWSH" run --cow / --stats -- cat f >"$T/out" 2>"$T/err"
assert_contains "stats" "$(head -1 "$T/err")" '^viewsh: trapped calls: [1-9][0-9]*$'
assert_contains "by call" "$(cat "$T/err")" 'open'
assert_lacks "calls made again" "$(cat "$T/err")" 'prepared'

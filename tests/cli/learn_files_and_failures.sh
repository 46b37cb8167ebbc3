#!/usr/bin/env bash
# When the profile is written, when it isn't, and that a run which fails keeps its status.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
cd "$W" || die cd

relearn fails sh -c 'echo out; echo err >&2; cat missing; exit 9'
assert_eq 'exit status' 9 "$(cat "$T/learn.status")"
relearn notfound sh -c 'no-such-program'
assert_eq 'exit status of the shell' 127 "$(cat "$T/learn.status")"
relearn killed sh -c 'kill -TERM $$'
assert_eq 'exit status after a signal' 143 "$(cat "$T/learn.status")"

# A profile that was edited stays as it is; an empty file is filled.
echo 'viewsh: 1' >edited.yaml
refused 125 'edited.yaml: exists already' "$VIEWSH" run --learn edited.yaml -- touch ran
assert_eq 'untouched' 'viewsh: 1' "$(cat edited.yaml)"
: >empty.yaml
"$VIEWSH" run --learn empty.yaml -- true 2>/dev/null || die "into an empty file"
"$VIEWSH" check empty.yaml >/dev/null || die "what is in it"

# What can't be written is said before the command starts.
refused 125 'No such file' "$VIEWSH" run --learn nowhere/x.yaml -- touch ran
mkdir closed && chmod 555 closed
refused 125 'Permission denied' "$VIEWSH" run --learn closed/x.yaml -- touch ran
refused 125 'must be a file' "$VIEWSH" run --learn '' -- touch ran
refused 125 'directory' "$VIEWSH" run --learn closed -- touch ran
[ ! -e ran ] || die "the command was started"

refused 127 'command not found' "$VIEWSH" run --learn none.yaml -- no-such-program
refused 126 'denied' "$VIEWSH" run --learn none.yaml -- ./empty.yaml
[ ! -e none.yaml ] || die "a profile of nothing"

# The run doesn't see the file that it is for.
out=$("$VIEWSH" run --learn new.yaml -- ls 2>/dev/null)
assert_lacks 'the file' "$out" 'new.yaml'
[ -s new.yaml ] || die "no profile"

# Who ends viewsh ends the run; what it used until then is written.
"$VIEWSH" run --learn term.yaml -- sh -c ': >started; exec sleep 100' 2>/dev/null &
wait_for 20 test -e started
kill -TERM $!
assert_status 143 wait $!
"$VIEWSH" check term.yaml >/dev/null || die "the profile of a run that was ended"

# A view inside a view isn't possible, and learning needs one.
refused 125 'already inside a view' "$VIEWSH" run --cow / -- "$VIEWSH" run --learn inner.yaml -- touch ran
[ ! -e inner.yaml ] && [ ! -e ran ] || die "it was started"

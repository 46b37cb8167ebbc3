#!/bin/bash
# Extended attributes that can't be read (EIO) are not taken for none: nothing is committed, and
# nothing is remembered as if there were none.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need strace setfattr getfattr
cd "$W" || exit 1
echo one >f && echo one >g
setfattr -n user.k -v kept f 2>/dev/null || skip "no extended attributes on $(stat -f -c %T .)"
setfattr -n user.k -v kept g
"$VIEWSH" run --cow / --layer t -- sh -c 'echo two >>f; chmod 600 g' || die "run"
for command in 'commit t' 'snapshot t s'; do
  status=0
  # shellcheck disable=SC2086
  strace -qq -f -o /dev/null -e inject=llistxattr:error=EIO "$VIEWSH" $command >"$T/out" 2>&1 || status=$?
  [ $status = 125 ] || [ $status = 1 ] || die "$command: status $status: $(cat "$T/out")"
  assert_contains "$command" "$(cat "$T/out")" 'Input/output error'
done
assert_eq "nothing written" one "$(cat f)"
assert_eq "layer" 'one two' "$("$VIEWSH" run --cow / --layer t -- cat f | tr '\n' ' ' | sed 's/ $//')"
"$VIEWSH" commit t >/dev/null || die "commit"
for f in f g; do
  assert_eq "$f" kept "$(getfattr --only-values -n user.k $f 2>/dev/null)"
done

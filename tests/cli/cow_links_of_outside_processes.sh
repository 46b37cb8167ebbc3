#!/bin/bash
# /proc/PID/{cwd,root,fd} of a process outside lead into the view, not round it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo real >f
echo real >written
exec 3<f 4>>written
sleep 1000 &
outside=$!
exec 3<&- 4>&-
cat >"$T/body.sh" <<'BODY'
p=/proc/$1
echo view >f
cat "$p/cwd/f" "$p/root$PWD/f"
readlink "$p/cwd"
echo new >"$p/cwd/new" && cat new
cat "$p/fd/3"
echo through >"$p/fd/3" && cat f
echo more >>"$p/fd/4"
echo "written: $(tail -1 written)"
chmod 600 "$p/fd/3" && stat -c %a f
BODY
got=$("$VIEWSH" run --cow / -- bash "$T/body.sh" "$outside" 2>&1)
kill "$outside"
assert_eq "seen" "$(printf 'view\nview\n%s\nnew\nview\nthrough\nwritten: more\n600' "$W")" "$got"
assert_eq "the real file" real "$(cat f)"
assert_eq "the other one" real "$(cat written)"
[ ! -e new ] || die "the real directory was written to"

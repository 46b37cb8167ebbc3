#!/bin/bash
# The script of commit --script does nothing where something changed since it was printed, loses
# nothing where it fails, and sets extended attributes.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need setfattr
mkdir -p "$W/t/dir" "$W/t/gone" && cd "$W/t" || exit 1
for f in a b dir/c gone/x type; do echo "old $f" >"$f"; done
ln b dir/b2
if ! setfattr -n user.test -v 1 a 2>/dev/null; then skip "no extended attributes here"; fi
setfattr -x user.test a
"$VIEWSH" run --cow / --layer t -- sh -c 'echo new >a; echo new >>b; rm -r gone dir/c; mkdir new
  setfattr -n user.test -v v a; setfattr -n user.dir -v d new; setfattr -n user.in -v i b
  echo n >fresh; rm type; mkdir type; echo in >type/in' || die "run"
"$VIEWSH" commit --script t >"$T/script" || die "script"
cp -a "$W/t" "$T/copy"
again() {
  cd "$W" && rm -r "$W/t" && cp -a "$T/copy" "$W/t" && cd "$W/t" || exit 1
}

# Whatever changed since, nothing is done.
for change in 'echo mine >>a' 'echo mine >>b' 'rm a' 'chmod 600 a' 'echo mine >fresh' 'ln -s x new' \
  'echo mine >gone/y' 'echo mine >>dir/c' 'rm type'; do
  again
  sh -c "$change"
  before=$(snapshot --exact "$W/t")
  sh "$T/script" 2>"$T/err" && die "done all the same: $change"
  assert_contains "said" "$(cat "$T/err")" 'was changed after this script was written'
  assert_eq "$change" "$before" "$(snapshot --exact "$W/t")"
done

# A full disk: cp fails at each file in turn.
mkdir "$T/bin"
cat >"$T/bin/cp" <<'END'
#!/bin/sh
n=$(($(cat "$COUNT") + 1))
echo "$n" >"$COUNT"
[ "$n" != "$FAIL" ] || {
  for to; do :; done
  : >"$to"
  exit 1
}
exec /bin/cp "$@"
END
chmod +x "$T/bin/cp"
for fail in 1 2 3 4 5; do
  again
  echo 0 >"$T/count"
  if COUNT=$T/count FAIL=$fail PATH=$T/bin:$PATH sh "$T/script" 2>"$T/err"; then
    [ "$fail" -gt 3 ] || die "cp isn't called $fail times"
  fi
  assert_contains "a" "$(cat a)" '^(old a|new)$'
  assert_contains "b" "$(cat b .viewsh-commit-* 2>/dev/null)" '^old b$'
done

again
sh "$T/script" || die "script"
assert_eq "xattr of a file" v "$(getfattr --only-values -n user.test a)"
assert_eq "xattr in place" i "$(getfattr --only-values -n user.in dir/b2)"
assert_eq "xattr of a directory" d "$(getfattr --only-values -n user.dir new)"
assert_eq "content" "new old b new n in" "$(cat a b fresh type/in | tr '\n' ' ' | sed 's/ $//')"
[ ! -e gone ] && [ ! -e dir/c ] || die "not removed"
assert_eq "left" "" "$(find . -name '.viewsh*')"
again

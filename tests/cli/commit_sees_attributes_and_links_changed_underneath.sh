#!/bin/bash
# What happened to the real file without another size or time of its content is a conflict, too; what
# viewsh's own commits do to it is none.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need setfattr strace
cd "$W" || exit 1
case $(stat -f -c %T .) in
ext2/ext3 | xfs | btrfs | f2fs | tmpfs | overlayfs | zfs) ;;
*) skip "times of change aren't relied on on $(stat -f -c %T .)" ;;
esac
for f in content xattr link deleted untouched; do echo 'version 1' >$f; done
touch -d @1700000000 ./*
"$VIEWSH" run --cow / --layer t -- sh -c '
  for f in content xattr link untouched; do echo more >>$f; done; rm deleted' || die "run"
sleep 0.05 # a tick of the clock of files
echo 'VERSION 2' >content && touch -d @1700000000 content
attributes=1
setfattr -n user.k -v v xattr 2>/dev/null || attributes=0
ln link other
echo 'VERSION 2' >deleted && touch -d @1700000000 deleted
status=0
"$VIEWSH" commit t >"$T/out" 2>&1 || status=$?
assert_eq "status" 1 "$status"
for f in content deleted; do
  assert_contains $f "$(cat "$T/out")" "/$f: was changed underneath \\(its attributes, or content"
done
assert_contains link "$(cat "$T/out")" '/link: has another number of hard links underneath'
[ "$attributes" = 0 ] || assert_contains xattr "$(cat "$T/out")" '/xattr: was changed underneath'
assert_lacks untouched "$(cat "$T/out")" '/untouched:'
assert_eq "the user's" 'VERSION 2' "$(cat content)"
"$VIEWSH" commit t "$W/untouched" >/dev/null || die "what nobody touched"
"$VIEWSH" commit --force t >/dev/null || die "--force"
[ ! -e deleted ] || die "deleted is there"
assert_eq "link" 'version 1 more' "$(tr '\n' ' ' <link | sed 's/ $//')"

# Names of one file that are committed one after the other.
echo one >a && ln a b && ln a c
echo one >d && ln d e
"$VIEWSH" run --cow / --layer u -- sh -c 'rm a b; chmod 600 c; rm d; chmod 640 e' || die "run u"
for path in a b c d e; do
  "$VIEWSH" commit u "$W/$path" >"$T/out" 2>&1 || die "own commit of $path: $(cat "$T/out")"
done
assert_eq "names" 'c e' "$(echo [a-f])"
assert_eq "modes" '600 640' "$(stat -c %a c e | tr '\n' ' ' | sed 's/ $//')"
assert_eq "links" '1 1' "$(stat -c %h c e | tr '\n' ' ' | sed 's/ $//')"

# One that was killed and taken back changed the times of change of what it renamed.
for n in 1 2 3 4 5; do
  rm -rf k && mkdir k && echo 1 >k/1 && echo 2 >k/2 && ln k/2 k/2l && echo 3 >k/3
  "$VIEWSH" run --cow / --layer v -- sh -c 'echo x >>k/1; echo x >>k/2; mv k/3 k/4; rm k/2l' || die "run v"
  strace -qq -f -o /dev/null -e "inject=renameat2,linkat:signal=KILL:when=$n" "$VIEWSH" commit v >"$T/out" 2>&1 || true
  if [ -e "$XDG_STATE_HOME/viewsh/layers/v/commit" ]; then
    "$VIEWSH" commit --undo v >"$T/out" 2>&1 || die "undo after $n: $(cat "$T/out")"
  fi
  [ -d "$XDG_STATE_HOME/viewsh/layers/v" ] || continue
  "$VIEWSH" commit v >"$T/out" 2>&1 || die "commit after $n: $(cat "$T/out")"
  assert_eq "after $n" '1 2 4' "$(cd k && echo *)"
done

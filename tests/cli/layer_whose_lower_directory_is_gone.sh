#!/bin/bash
# A directory that a layer changed something in, and that was removed or replaced underneath since:
# the view has what the layer has of it, to be listed, copied and removed.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
layer() { "$VIEWSH" run --cow / --layer t -- "$@"; }
for now in nothing file; do
  mkdir -p d/sub d/plain e && echo 1 >d/x && echo 2 >d/y && echo 3 >d/sub/z
  layer sh -c 'echo v >>d/x; touch d/n; echo v >>d/sub/z; rm d/y' || die "run"
  rm -r d
  [ $now = nothing ] || echo file >d
  assert_eq "$now: listed" 'n sub x' "$(layer sh -c 'ls d' | tr '\n' ' ' | sed 's/ $//')"
  assert_eq "$now: found" 'd d/n d/sub d/sub/z d/x' \
    "$(layer find d | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')"
  assert_eq "$now: type" directory "$(layer stat -c %F d)"
  assert_contains "$now: read" "$(layer cat d 2>&1)" 'Is a directory'
  assert_eq "$now: content" '1 v' "$(layer cat d/x | tr '\n' ' ' | sed 's/ $//')"
  layer sh -c 'cp -a d copy && ls copy/sub/z && touch d/late && mkdir d/dir && rmdir d/dir' >/dev/null ||
    die "$now: used"
  layer mv d moved || die "$now: moved"
  assert_eq "$now: moved" 'late n sub x' "$(layer ls moved | tr '\n' ' ' | sed 's/ $//')"
  layer mv moved d || die "$now: moved back"
  layer sh -c 'rm -r d && mkdir d && echo anew >d/f && ls d' >"$T/out" || die "$now: removed and made"
  assert_eq "$now: anew" f "$(cat "$T/out")"
  assert_eq "$now: sound" "" "$("$VIEWSH" layers --verify t | grep -v good)"
  "$VIEWSH" discard t >/dev/null || die "discard"
  rm -rf d
done

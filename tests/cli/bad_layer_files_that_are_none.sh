#!/bin/bash
# A FIFO, a directory or a device in the place of a layer's files is an error at once, no wait.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
dir=$XDG_STATE_HOME/viewsh/layers/t
for name in lock log layer; do
  "$VIEWSH" run --cow / --layer t -- sh -c 'echo 1 >f' || die "run"
  mv "$dir/$name" "$T/kept"
  for kind in mkfifo mkdir; do
    $kind "$dir/$name"
    for command in 'commit t' 'run --cow / --layer t -- true' 'discard t'; do
      status=0
      # shellcheck disable=SC2086
      timeout 20 "$VIEWSH" $command >"$T/out" 2>&1 </dev/null || status=$?
      [ $status != 124 ] || die "$name, $kind: $command waits"
      [ $status != 0 ] || die "$name, $kind: $command: $(cat "$T/out")"
    done
    timeout 20 "$VIEWSH" diff t >"$T/out" 2>&1 </dev/null
    [ $? != 124 ] || die "$name, $kind: diff waits"
    timeout 20 "$VIEWSH" layers >"$T/out" 2>&1 </dev/null || die "$name, $kind: layers"
    rm -r "${dir:?}/$name"
  done
  mv "$T/kept" "$dir/$name"
  "$VIEWSH" discard t >/dev/null || die "discard"
done

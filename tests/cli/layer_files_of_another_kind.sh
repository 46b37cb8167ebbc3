#!/bin/bash
# A FIFO where a layer has a file: nobody waits for it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/t" && cd "$W/t" || exit 1
layer=${XDG_STATE_HOME:-$HOME/.local/state}/viewsh/layers/t
for file in lock log layer commit; do
  "$VIEWSH" run --cow / --layer t -- touch x || die "run"
  mv "$layer/$file" "$layer/$file.old" 2>/dev/null
  mkfifo "$layer/$file"
  for command in "diff t" layers "layers --verify t" "commit t" "run --cow / --layer t -- true"; do
    status=0
    # shellcheck disable=SC2086
    timeout 20 "$VIEWSH" $command >/dev/null 2>&1 || status=$?
    [ "$status" != 124 ] || die "$command waits for $file"
  done
  [ ! -e x ] || [ "$file" = lock ] || die "committed with a FIFO as $file"
  rm -rf "$layer" x
done

#!/bin/bash
# A COMMAND that is not there is 127, one that can't be executed 126; each with one line.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo text >plain
mkdir dir
printf '#!/none/interpreter\n' >script
chmod +x script
for options in '' '--cow /'; do
  # shellcheck disable=SC2086
  {
    refused 127 'no-such-command' "$VIEWSH" run $options -- no-such-command
    refused 127 'none' "$VIEWSH" run $options -- ./none
    refused 126 'plain' "$VIEWSH" run $options -- ./plain
    refused 126 'dir' "$VIEWSH" run $options -- ./dir
    refused 127 'script' "$VIEWSH" run $options -- ./script
  }
done

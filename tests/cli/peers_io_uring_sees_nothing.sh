#!/bin/bash
# io_uring goes round every filter: in a view it is refused (ENOSYS), never shows the host's file.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/real" "$W/place"
echo view >"$W/real/f"
echo host >"$W/place/f"
cd "$W" || exit 1
for options in "--bind $W/real:$W/place" "--cow /" "--hide $W/place"; do
  # shellcheck disable=SC2086
  assert_eq "with '$options'" 'setup: ENOSYS' "$("$VIEWSH" run $options -- "$P/uring_cat" place/f)"
done

#!/bin/bash
# Scripts that told natively and in a view apart once: the few operations that random ones were cut
# down to. For the tree that seed 1 makes, or the one that a line "# seed N" names. What comes before
# `restart` is the lower of what comes behind it.
LIMIT=120
. "$(dirname "$0")/../support/lib.sh"
for script in "$S"/tests/model/scripts/*.txt; do
  echo "${script##*/}"
  configs=cow,over-merge
  grep -qx restart "$script" && configs=over-cow
  seed=$(sed -n 's/^# seed //p' "$script")
  "$P/model" --config "$configs" --seed "${seed:-1}" --replay "$script" --go-on || failed=1
done
exit "${failed:-0}"

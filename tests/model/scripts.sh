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
  # One that is for a configuration of its own says so.
  own=$(sed -n 's/^# config //p' "$script")
  if [ "$own" = fuse ] && [ ! -x "$P/fuse_mirror" ]; then
    echo "not run: libfuse3 isn't there"
    continue
  fi
  configs=${own:-$configs}
  seed=$(sed -n 's/^# seed //p' "$script")
  "$P/model" --config "$configs" --seed "${seed:-1}" --replay "$script" --go-on || failed=1
done
exit "${failed:-0}"

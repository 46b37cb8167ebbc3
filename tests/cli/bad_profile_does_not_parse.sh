#!/bin/bash
# YAML that does not parse: file:line:column and one line, status 125, by run, check and show.
. "$(dirname "$0")/../support/lib.sh"
needs_view
printf 'viewsh: 1\nmounts: [\n  {type: bind\n' >"$T/broken.yaml"
for command in "run -p $T/broken.yaml -- true" "check $T/broken.yaml" "show -p $T/broken.yaml"; do
  # shellcheck disable=SC2086
  refused 125 'broken\.yaml:[0-9]+:[0-9]+' "$VIEWSH" $command
done
printf '' >"$T/empty_file.yaml"
refused 125 'empty_file\.yaml' "$VIEWSH" check "$T/empty_file.yaml"
printf '\001\002\377' >"$T/binary.yaml"
refused 125 'binary\.yaml' "$VIEWSH" check "$T/binary.yaml"
printf -- '- a\n- b\n' >"$T/list.yaml"
refused 125 'list\.yaml' "$VIEWSH" check "$T/list.yaml"

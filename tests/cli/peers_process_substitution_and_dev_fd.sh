#!/bin/bash
# Process substitution, /dev/fd, /dev/stdin and here documents.
. "$(dirname "$0")/../support/lib.sh"
echo file >"$W/f"
compare <<'BODY'
set -e
cat <(echo one) <(echo two); diff <(echo a) <(echo b) || true; echo in | cat /dev/stdin; { echo x >/dev/fd/1; echo y >/dev/stderr; } 2>&1 | cat
exec 7<f; cat /dev/fd/7; cat /proc/self/fd/7; cat <<<here; tee >(cat >copy) <f; until [ -s copy ]; do sleep 0.01; done; cat copy; [ -p <(:) ] 2>/dev/null; ls -l /dev/fd >/dev/null
while read -r l; do echo "$l"; done < <(printf "1\n2\n")
BODY

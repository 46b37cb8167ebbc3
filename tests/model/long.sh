#!/bin/bash
# long.sh [SEED [ROUNDS [CONFIG[,CONFIG...] [OPTION...]]]]: many rounds of 1000 operations, going on
# after differences, and how many rounds of each configuration were the same. Not one of ctest's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seed=${1:-1}
rounds=${2:-100}
options=(--seed "$seed" --rounds "$rounds" --ops 1000 --go-on)
[ $# -gt 2 ] && options+=(--config "$3")
[ $# -gt 3 ] && options+=("${@:4}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
MODEL_LIMIT=${MODEL_LIMIT:-14400} bash "$here/model.sh" "${options[@]}" | tee "$log" || status=$?
awk '$1 == "ok" || $1 == "FAIL" { all[$2]++; if ($1 == "ok") same[$2]++ }
  END { for (name in all) printf "%s: %d of %d rounds the same\n", name, same[name], all[name] }' \
  "$log" | sort
exit "$status"

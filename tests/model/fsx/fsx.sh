#!/bin/bash
# fsx.sh [SEED [OPS]]: one file, random operations, against a buffer; natively and in views.
. "$(dirname "$0")/../../support/lib.sh"
ops=${2:-400}
seeds=(1 2 $((RANDOM % 100000)))
[ $# = 0 ] || seeds=("$1")
merge() { echo "$W/a:$W/b:$W/m"; }
# round SEED NAME FILE OPTION...: a file of the lower first, if its directory is there.
round() {
  local seed=$1 name=$2 file=$3 out
  shift 3
  out=$(run_view "$@" -- "$P/fsx" "$file" "$seed" "$ops" 2>&1) || die "$name, seed $seed: $out"
  echo "$name: $out"
}
for seed in "${seeds[@]}"; do
  rm -rf "$W/a" "$W/b" "$W/m" "$W/d"
  mkdir "$W/a" "$W/b" "$W/m" "$W/d"
  head -c 70000 /dev/urandom | tee "$W/a/f" "$W/b/g" >"$W/d/f"
  before=$(snapshot --exact "$W")
  round "$seed" cow "$W/d/f" --cow "$W/d"
  round "$seed" "cow over merge" "$W/m/g" --merge "$(merge)" --cow "$W/m"
  round "$seed" "cow over tmpfs" "$W/m/new" --tmpfs "$W/m" --cow "$W/m"
  round "$seed" tmpfs "$W/m/new" --tmpfs "$W/m"
  round "$seed" "tmpfs of a size" "$W/m/new" --tmpfs "$W/m:size=64M"
  assert_eq "the lower" "$before" "$(snapshot --exact "$W")"
  # Changes reach the file of a merge's first source, which is a copy of the second's or its own.
  round "$seed" merge "$W/m/f" --merge "$(merge):rw"
  round "$seed" bind "$W/m/f" --bind "$W/d:$W/m"
done

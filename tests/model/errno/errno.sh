#!/bin/bash
# What calls with paths say when they can't: natively, where the expectations are checked, and in
# views. Each program run starts on a tree of the lower, and on one that it made in the view.
. "$(dirname "$0")/../../support/lib.sh"
run() { # NAME DIR OPTION...
  local name=$1 dir=$2 out
  shift 2
  out=$(run_view "$@" -- "$P/errno_cases" "$dir" 2>&1) || die "$name:
$out"
  echo "$name: $out"
}
fresh() {
  chmod -R u+rwX "$W"
  rm -rf "$W/n" "$W/d" "$W/a" "$W/b" "$W/m"
  mkdir "$W/n" "$W/d" "$W/a" "$W/b" "$W/m"
}
fresh
"$P/errno_cases" --setup "$W/n" || die "setup"
out=$("$P/errno_cases" "$W/n" 2>&1) || die "natively:
$out"
echo "natively: $out"
needs_view
fresh
"$P/errno_cases" --setup "$W/d" || die "setup"
before=$(snapshot --exact "$W")
run "cow, lower objects" "$W/d" --cow "$W/d"
run "cow, new objects" "$W/m" --cow "$W/m"
run "tmpfs" "$W/m" --tmpfs "$W/m"
run "cow over tmpfs" "$W/m" --tmpfs "$W/m" --cow "$W/m"
assert_eq "the lower" "$before" "$(snapshot --exact "$W")"
fresh
"$P/errno_cases" --setup "$W/a" || die "setup"
cp -a "$W/a/plain" "$W/b/plain"
mv "$W/a/file" "$W/a/dir" "$W/b"
before=$(snapshot --exact "$W")
run "cow over a merge" "$W/m" --merge "$W/a:$W/b:$W/m" --cow "$W/m"
assert_eq "the sources" "$before" "$(snapshot --exact "$W")"

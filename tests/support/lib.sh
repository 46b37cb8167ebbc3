# shellcheck shell=bash
# Sourced first by each scenario test. Starts the script again as an ordinary user in a directory of
# its own (private.sh), with LIMIT seconds (120 if the script sets none before).
#
#   $T      the private directory      $W  the directory that scenarios work in
#   $VIEWSH the program                $P  the test programs
#
# Exit status: 0 shown, 77 skipped (with the reason), else failed. VIEWSH_TEST_NATIVE=1 runs the
# commands of a comparison natively twice: it says whether the scenario itself is sound.
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${VIEWSH_TEST_DIR-}" ]; then
  . "$support/private.sh"
  VIEWSH_SOURCE_DIR=${VIEWSH_SOURCE_DIR:-$(cd "$support/../.." && pwd)}
  VIEWSH_BUILD_DIR=${VIEWSH_BUILD_DIR:-$VIEWSH_SOURCE_DIR/build}
  VIEWSH=${VIEWSH:-$VIEWSH_BUILD_DIR/bin/viewsh}
  VIEWSH_TEST_PROGRAMS=${VIEWSH_TEST_PROGRAMS:-$VIEWSH_BUILD_DIR/bin}
  private_run "${LIMIT:-120}" bash "$(cd "$(dirname "$0")" && pwd)/$(basename "$0")" "$@"
  exit
fi

set -u -o pipefail
T=$VIEWSH_TEST_DIR
W=$T/w
P=$VIEWSH_TEST_PROGRAMS
S=$VIEWSH_SOURCE_DIR
mkdir "$W" "$W/home" "$W/tmp"
export HOME=$W/home TMPDIR=$W/tmp
export GIT_AUTHOR_NAME=Tester GIT_AUTHOR_EMAIL=tester@example.org GIT_CONFIG_NOSYSTEM=1
export GIT_COMMITTER_NAME=Tester GIT_COMMITTER_EMAIL=tester@example.org
export GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z

die() {
  echo "FAIL: $*"
  exit 1
}
skip() {
  echo "SKIP: $*"
  exit 77
}
# need PROGRAM...: skips where one of them is not installed.
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
}
# needs_view: for what has no native counterpart.
needs_view() {
  [ -z "${VIEWSH_TEST_NATIVE-}" ] || skip "only in a view"
}
assert_eq() { # WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || die "$1: expected '$2', got '$3'"
}
assert_contains() { # WHAT TEXT REGEX
  grep -qE -- "$3" <<<"$2" || die "$1: no /$3/ in: $2"
}
assert_lacks() { # WHAT TEXT REGEX
  if grep -qE -- "$3" <<<"$2"; then die "$1: there is /$3/ in: $2"; fi
}
# assert_status STATUS COMMAND...
assert_status() {
  local expected=$1 status=0
  shift
  "$@" || status=$?
  [ "$status" = "$expected" ] || die "exit status $status instead of $expected: $*"
}
# wait_for SECONDS COMMAND...: until it succeeds; fails the test after the deadline.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || die "waited in vain for: $*"
    sleep 0.05
  done
}
# run_view OPTION... -- COMMAND...: viewsh run; natively with VIEWSH_TEST_NATIVE.
run_view() {
  if [ -n "${VIEWSH_TEST_NATIVE-}" ]; then
    while [ "$1" != -- ]; do shift; done
    shift
    "$@"
  else
    "$VIEWSH" run "$@"
  fi
}
in_cow() { # COMMAND...
  run_view --cow / -- "$@"
}
# refused STATUS REGEX COMMAND...: exit status, and one line `viewsh: what: why` on standard error
# that matches; nothing on standard output.
refused() {
  local expected=$1 regex=$2 status=0
  shift 2
  "$@" >"$T/refused.out" 2>"$T/refused.err" </dev/null || status=$?
  [ "$status" = "$expected" ] ||
    die "exit status $status instead of $expected: $* [$(cat "$T/refused.err")]"
  [ "$(wc -l <"$T/refused.err")" = 1 ] || die "not one line: $*: [$(cat "$T/refused.err")]"
  grep -qE "^viewsh: .+" "$T/refused.err" || die "no 'viewsh: what: why': $(cat "$T/refused.err")"
  grep -qiE -- "$regex" "$T/refused.err" || die "no /$regex/ in: $(cat "$T/refused.err")"
  [ ! -s "$T/refused.out" ] || die "unexpected output: $(cat "$T/refused.out")"
}
snapshot() { # [--exact] DIR [SINCE]
  bash "$support/snapshot.sh" "$@"
}
# new_second: waits for one and sets $new_second. Whatever is written from here on has this time or a
# later one, what is there has an earlier one; also where times are kept in whole seconds (tar, cpio).
new_second() {
  new_second=$(($(date +%s) + 1))
  : >"$T/clock" # the clock of files goes in steps, behind that of date
  until [ "$(stat -c %Y "$T/clock")" -ge "$new_second" ]; do
    sleep 0.01
    touch "$T/clock"
  done
}
# Reads what a run printed and drops what is never twice the same; scenarios override it.
normalize() { cat; }

# run_body STEM COMMAND...: runs it in $W with output, errors and exit status in $T/STEM.*
run_body() {
  local stem=$1 status=0
  shift
  (cd "$W" && "$@") >"$T/$stem.out" 2>"$T/$stem.err" </dev/null || status=$?
  echo "$status" >"$T/$stem.status"
}

# compare [EXPECTED_STATUS] <body: runs the body on standard input with bash in $W, natively and in
# `viewsh run --cow / --layer t`, each on its own copy of what is in $W now, at the same path.
# Exit status, output and the tree as the process sees it must be the same, and the lower tree of
# the view bit for bit what it was.
compare() {
  local expected=${1:-0} since before part
  cat >"$T/body.sh"
  cp -a "$W" "$T/input"
  new_second
  since=$new_second
  run_body native bash "$T/body.sh"
  snapshot "$W" "$since" >"$T/native.tree"
  [ "$(cat "$T/native.status")" = "$expected" ] ||
    die "natively: exit status $(cat "$T/native.status"): $(tail -5 "$T/native.err")"
  mv "$W" "$T/native"
  cp -a "$T/input" "$W"
  before=$(snapshot --exact "$W")
  run_body view run_view --cow / --layer t -- bash "$T/body.sh"
  (cd "$T" && run_view --cow / --layer t -- bash "$support/snapshot.sh" "$W" "$since") \
    >"$T/view.tree" || die "the snapshot in the view failed"
  if [ -z "${VIEWSH_TEST_NATIVE-}" ] && [ "$before" != "$(snapshot --exact "$W")" ]; then
    diff <(echo "$before") <(snapshot --exact "$W") | head -20
    die "the lower tree was changed"
  fi
  for part in status out err tree; do
    normalize <"$T/native.$part" >"$T/native.$part.n"
    normalize <"$T/view.$part" >"$T/view.$part.n"
    if ! cmp -s "$T/native.$part.n" "$T/view.$part.n"; then
      diff "$T/native.$part.n" "$T/view.$part.n" | head -30
      [ "$part" != status ] || tail -20 "$T/view.err"
      die "native (<) and view (>) differ: $part"
    fi
  done
  if [ -z "${VIEWSH_TEST_NATIVE-}" ]; then
    "$VIEWSH" discard t >/dev/null || die "discard of the layer"
  fi
  rm -rf "$T/native" "$T/input"
}

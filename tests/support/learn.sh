# shellcheck shell=bash
# For scenarios of run --learn. Sourced after lib.sh.
# The home directory is beside the one that is worked in: what it is in is never shown as a whole.
rmdir "$W/home" "$W/tmp"
export HOME=$T/home TMPDIR=$T/tmp

# relearn NAME COMMAND...: runs it in $W with --learn into $T/NAME.yaml, then under that profile. Exit
# status and output are the same, and `check` takes the profile. $learned is its text.
relearn() {
  local profile=$T/$1.yaml
  shift
  run_body learn "$VIEWSH" run --learn "$profile" -- "$@"
  sed -i '/^viewsh: learned: /d' "$T/learn.err"
  [ -s "$profile" ] || die "no profile: $(cat "$T/learn.err")"
  (cd "$W" && "$VIEWSH" check "$profile" >/dev/null) || die "the profile isn't valid"
  learned=$(cat "$profile")
  again "$profile" "$@"
}
# again PROFILE COMMAND...: under the profile it is as it was when it was learned.
again() {
  local profile=$1 part
  shift
  run_body again "$VIEWSH" run -p "$profile" -- "$@"
  for part in status out err; do
    normalize <"$T/learn.$part" >"$T/learn.$part.n"
    normalize <"$T/again.$part" >"$T/again.$part.n"
    cmp -s "$T/learn.$part.n" "$T/again.$part.n" && continue
    diff "$T/learn.$part.n" "$T/again.$part.n" | head -20
    cat "$profile"
    die "learned (<) and under the profile (>) differ: $part"
  done
}
# not_there PROFILE PATH...: what wasn't used isn't there.
not_there() {
  local profile=$1 path
  shift
  for path; do
    "$VIEWSH" resolve -p "$profile" "$path" >"$T/resolve.out" 2>&1
    grep -q 'No such file' "$T/resolve.out" || die "it is there: $path: $(cat "$T/resolve.out")"
  done
}

#!/bin/bash
# pjdfstest.sh [TEST...]: what pjdfstest finds right natively, for an ordinary user, is right in
# views, too: assertion by assertion. VIEWSH_PJDFSTEST is the directory of a built pjdfstest
# (https://github.com/pjd/pjdfstest); it isn't part of viewsh. TEST: as rename/00.
LIMIT=${PJDFSTEST_LIMIT:-1800}
. "$(dirname "$0")/../support/lib.sh"
needs_view
[ -n "${VIEWSH_PJDFSTEST-}" ] || skip "VIEWSH_PJDFSTEST names no directory of pjdfstest"
[ -x "$VIEWSH_PJDFSTEST/pjdfstest" ] || die "$VIEWSH_PJDFSTEST: no pjdfstest was built there"
tests=$VIEWSH_PJDFSTEST/tests
if [ $# -eq 0 ]; then
  mapfile -t names < <(cd "$tests" && find . -name '*.t' | sed 's,^\./,,; s,\.t$,,' | sort)
else
  names=("$@")
fi

# It asks df(1) for the file system's type, and leaves out what types that it doesn't know may not have.
mkdir "$T/bin"
printf '#!/bin/sh\necho Filesystem\necho "x %s 0 0 0 0%% /"\n' "$(df -PT "$W" | awk 'END {print $2}')" >"$T/bin/df"
chmod 755 "$T/bin/df"
export PATH=$T/bin:$PATH

# assertions NAME DIR VIEW-OPTION...: all tests in DIR; "TEST NUMBER" of each that is right.
assertions() {
  local name=$1 dir=$2
  shift 2
  # shellcheck disable=SC2016
  local script='cd "$1" || exit 125; tests=$2; shift 2
    for name; do
      mkdir t && cd t || exit 125
      timeout 120 sh "$tests/$name.t" 2>/dev/null | sed -n "s,^ok \([0-9]*\).*,$name \1,p"
      cd .. && chmod -R u+rwx t && rm -rf t || exit 125
    done'
  if [ $# -eq 0 ]; then
    bash -c "$script" all "$dir" "$tests" "${names[@]}"
  else
    "$VIEWSH" run "$@" -- bash -c "$script" all "$dir" "$tests" "${names[@]}"
  fi >"$T/$name.ok" || die "$name: the tests could not be run"
}
mkdir "$W/n" "$W/d" "$W/a" "$W/b" "$W/m"
before=$(snapshot --exact "$W/d")
assertions natively "$W/n"
assertions cow "$W/d" --cow "$W/d"
assertions merge "$W/m" --merge "$W/a:$W/b:$W/m" --cow "$W/m"
assertions tmpfs "$W/m" --tmpfs "$W/m"
assert_eq "the lower" "$before" "$(snapshot --exact "$W/d")"
[ -s "$T/natively.ok" ] || die "nothing is right natively"
wrong=0
for name in cow merge tmpfs; do
  lost=$(comm -23 <(sort "$T/natively.ok") <(sort "$T/$name.ok"))
  echo "$name: $(wc -l <"$T/$name.ok") assertions hold, natively $(wc -l <"$T/natively.ok")"
  [ -z "$lost" ] || { echo "$name: wrong in the view alone:" && echo "$lost" && wrong=1; }
done
[ "$wrong" = 0 ] || die "views differ"

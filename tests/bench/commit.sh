#!/bin/bash
# commit.sh [ROUNDS [DIRECTORIES]]: commit of DIRECTORIES x 100 changes (a quarter each: appended to,
# chmod, deleted, new) beside `cp -a` of what the layer holds, one after the other in each round, with
# a snapshot of the same layer before. Figures are told, not judged: only the committed tree is.
LIMIT=1500
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
rounds=${1:-3} dirs=${2:-500}
cat >"$T/make.py" <<'P'
import os, sys
for d in range(int(sys.argv[2])):
    os.makedirs("%s/d%d" % (sys.argv[1], d))
    for f in range(100):
        open("%s/d%d/f%d" % (sys.argv[1], d, f), "w").write("x" * 1300)
P
cat >"$T/change.py" <<'P'
import os, sys
for d in range(int(sys.argv[2])):
    for f in range(100):
        p = "%s/d%d/f%d" % (sys.argv[1], d, f)
        if f % 4 == 0: open(p, "a").write("more")
        elif f % 4 == 1: os.chmod(p, 0o600)
        elif f % 4 == 2: os.unlink(p)
        else: open("%s/d%d/n%d" % (sys.argv[1], d, f), "w").write("new")
P
# timed WHAT COMMAND...: its milliseconds in $took.
timed() {
  local from what=$1
  shift
  from=$(date +%s%N)
  "$@" >"$T/out" 2>&1 || die "$what: $(tail -3 "$T/out")"
  took=$((($(date +%s%N) - from) / 1000000))
}
copy() { cp -a "$1" "$2" && sync -f "$2"; }
tree() { (cd "$1" && find . -type f -printf '%p %m %s\n' | LC_ALL=C sort); }

cd "$W" || exit 1
python3 "$T/make.py" want "$dirs" && python3 "$T/change.py" want "$dirs"
for ((r = 1; r <= rounds; ++r)); do
  python3 "$T/make.py" lower "$dirs"
  "$VIEWSH" run --cow "$W/lower" --layer k -- python3 "$T/change.py" "$W/lower" "$dirs" || die "change"
  sync -f "$W"
  timed snapshot "$VIEWSH" snapshot k s
  snapshot=$took
  "$VIEWSH" snapshot --delete k s >/dev/null || die "snapshot --delete"
  sync -f "$W"
  timed "cp -a" copy "$XDG_STATE_HOME/viewsh/layers/k/upper" copied
  copied=$took
  sync -f "$W"
  timed commit "$VIEWSH" commit k
  echo "round $r: $((dirs * 100)) changes: snapshot $snapshot ms, cp -a $copied ms, commit $took ms:" \
    "$((took * 100 / (copied + 1))) % of cp -a"
  diff <(tree want) <(tree lower) >"$T/diff" || die "not what was committed: $(head -3 "$T/diff")"
  diff -r want lower >"$T/diff" || die "not what was committed: $(head -3 "$T/diff")"
  rm -r lower copied
done

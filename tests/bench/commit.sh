#!/bin/bash
# commit.sh [ROUNDS [DIRECTORIES]]: commit of DIRECTORIES x 100 changes (a quarter each: appended to,
# chmod, deleted, new) beside `cp -a` of what the layer holds, into an empty directory (the bytes alone) and
# over a copy of the real tree with an rm of what was deleted (what commit has to do, but torn when killed),
# one after the other in each round, with a snapshot and a diff of the same layer before. Figures are told,
# not judged: only the committed tree is.
LIMIT=2400
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
# over UPPER TREE: what the layer holds over TREE, and what it deletes from there removed.
over() { cp -a "$1/." "$2" && (cd "$2" && xargs -0 rm -- <"$T/deleted") && sync -f "$2"; }
tree() { (cd "$1" && find . -type f -printf '%p %m %s\n' | LC_ALL=C sort); }
same() {
  diff <(tree want) <(tree "$1") >"$T/diff" || die "$1: not the tree wanted: $(head -3 "$T/diff")"
  diff -r want "$1" >"$T/diff" || die "$1: not the tree wanted: $(head -3 "$T/diff")"
}

cd "$W" || exit 1
python3 "$T/make.py" want "$dirs" && python3 "$T/change.py" want "$dirs"
for ((d = 0; d < dirs; ++d)); do
  for ((f = 2; f < 100; f += 4)); do printf 'd%d/f%d\0' "$d" "$f"; done
done >"$T/deleted"
upper=$XDG_STATE_HOME/viewsh/layers/k/upper
for ((r = 1; r <= rounds; ++r)); do
  python3 "$T/make.py" lower "$dirs" && python3 "$T/make.py" other "$dirs"
  "$VIEWSH" run --cow "$W/lower" --layer k -- python3 "$T/change.py" "$W/lower" "$dirs" || die "change"
  sync -f "$W"
  timed diff "$VIEWSH" diff k
  listed=$took
  timed snapshot "$VIEWSH" snapshot k s
  snapshot=$took
  "$VIEWSH" snapshot --delete k s >/dev/null || die "snapshot --delete"
  sync -f "$W"
  timed "cp -a" copy "$upper" copied
  copied=$took
  sync -f "$W"
  timed "cp -a over the tree" over "$upper" other
  replaced=$took
  sync -f "$W"
  timed commit "$VIEWSH" commit k
  echo "round $r: $((dirs * 100)) changes: diff $listed ms, snapshot $snapshot ms, commit $took ms:" \
    "$((took * 100 / (replaced + 1))) % of cp -a over the tree and rm ($replaced ms)," \
    "$((took * 100 / (copied + 1))) % of cp -a into an empty directory ($copied ms)"
  same lower
  same other
  rm -r lower other copied
done

#!/bin/bash
# A copy-on-write, also one of a union, over a FUSE server that takes its time: while one call waits for it, others
# of the same mount are made, and nothing is copied twice or lost.
. "$(dirname "$0")/../support/lib.sh"
needs_view
P=${VIEWSH_BUILD_DIR:?}/bin
[ -x "$P/fuse_mirror" ] || skip "fuse_mirror isn't built: libfuse3-dev"
export PATH=$P:$PATH MIRROR_DELAY=2 MIRROR_NO_CACHE=1
need python3
mkdir "$W/src" "$W/mnt" "$W/upper"
cat >"$T/work.py" <<'P'
import os, sys, threading
top, many, each = sys.argv[1], 6, 6
os.chdir(top)
wrong = []
def add(k):
    # All at the same files of the lower: each line once.
    for i in range(each):
        with open("d%d/f" % i, "a") as f: f.write("line %d\n" % k)
def move(k):
    # Each a directory of its own, to and fro, through directories that all use.
    for i in range(each):
        os.rename("own%d" % k, "d%d/own%d" % (i, k))
        os.chmod("d%d/own%d/x" % (i, k), 0o600 + 0o44 * (i % 2))
        os.rename("d%d/own%d" % (i, k), "own%d" % k)
def take(k):
    # One of them gets each.
    for i in range(each):
        try: os.unlink("gone%d" % i); got[k] += 1
        except FileNotFoundError: pass
def run(work):
    def safely(k):
        try: work(k)
        except Exception as e: wrong.append("%s %d: %r" % (work.__name__, k, e))
    return [threading.Thread(target=safely, args=(k,)) for k in range(many)]
got = [0] * many
# In a union its directories are of several file systems: nothing can be renamed between them.
works = [add, take] if sys.argv[2:] == ["union"] else [add, take, move]
threads = [t for work in works for t in run(work)]
for t in threads: t.start()
for t in threads: t.join()
for w in wrong: print(w)
print("taken", sum(got))
for i in range(each):
    lines = sorted(open("d%d/f" % i).read().split("\n"))
    want = sorted(["", "first"] + ["line %d" % k for k in range(many)])
    if lines != want: print("d%d/f" % i, lines)
    if sorted(os.listdir("d%d" % i)) != ["f"]: print("d%d" % i, os.listdir("d%d" % i))
for k in range(many):
    if open("own%d/x" % k).read() != "own\n": print("own", k)
print(" ".join(sorted(os.listdir("."))))
P
make() {
  local i k
  for i in {0..5}; do mkdir "$1/d$i" && echo first >"$1/d$i/f" && echo >"$1/gone$i"; done
  for k in {0..5}; do mkdir "$1/own$k" && echo own >"$1/own$k/x"; done
}
make "$W/src"
before=$(snapshot "$W/src")
want="taken 6
$(cd "$W/src" && printf '%s\n' d* own* | LC_ALL=C sort | paste -sd' ')"
ask() { "$VIEWSH" run --mount "fuse.fuse_mirror:$W/src:$W/mnt" "$@" --cow "$W/mnt" -- python3 "$T/work.py" "$W/mnt" "$kind" 2>&1; }
out=$(kind=plain ask) || die "cow: $out"
assert_eq cow "$want" "$out"
out=$(kind=union ask --merge "$W/upper:$W/mnt:$W/mnt") || die "cow over a union: $out"
assert_eq 'cow over a union' "$want" "$out"
assert_eq "what is below" "$before" "$(snapshot "$W/src")"

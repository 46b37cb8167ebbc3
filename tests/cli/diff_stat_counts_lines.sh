#!/bin/bash
# diff --stat: as many lines of each file as diff(1) finds, whatever was done to it.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
mkdir "$W/d"
cd "$W/d" || exit 1
cat >"$T/edit.py" <<'PY'
import os, random, sys
random.seed(5)
def text(n): return ["%d\n" % random.randrange(4) for _ in range(n)]
files = {}
for i in range(120):
    old = text(random.randrange(8))
    new = list(old)
    for _ in range(random.randrange(3)):
        at = random.randrange(len(new) + 1)
        random.choice([lambda: new.insert(at, "%d\n" % random.randrange(4)), lambda: new.__delitem__(slice(at, at + 1)),
                       lambda: new.__setitem__(slice(at, at + 1), text(1)), lambda: new.extend(text(2))])()
    files["f%d" % i] = [''.join(old), ''.join(new)]
    if i % 5 == 0: files["f%d" % i] = [t[:-1] if random.random() < .5 else t for t in files["f%d" % i]]
files["made"] = [None, "a\nb"]
files["gone"] = ["a\nb\n", None]
for name, (old, new) in files.items():
    t = old if sys.argv[1] == "old" else new
    if t is not None: open(name, "w").write(t)
    elif os.path.exists(name): os.unlink(name)
PY
python3 "$T/edit.py" old
cp -a . "$T/old"
"$VIEWSH" run --cow "$PWD" --layer l -- python3 "$T/edit.py" new || die "edit"
cp -a "$T/old" "$T/new" && (cd "$T/new" && python3 "$T/edit.py" new)
while read -r name; do
  diff -aN "$T/old/$name" "$T/new/$name" >"$T/one"
  added=$(grep -c '^>' "$T/one")
  removed=$(grep -c '^<' "$T/one")
  [ "$added$removed" = 00 ] || echo "$name +$added -$removed"
done < <(cd "$T" && cat <(cd old && ls) <(cd new && ls) | sort -u) | sort >"$T/expected"
"$VIEWSH" diff --stat l >"$T/stat" || die "diff --stat"
sed -n "s,^. $W/d/\([^ ]*\)  *\(+.*\),\1 \2,p" "$T/stat" | sed 's/ [+]0 -0$//; /+/!d' | sort >"$T/got"
diff "$T/expected" "$T/got" || die "other numbers than those of diff(1)"
[ "$(wc -l <"$T/got")" -gt 60 ] || die "only $(wc -l <"$T/got") files changed"

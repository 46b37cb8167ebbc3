#!/bin/bash
# bind, hide, merge and tmpfs over each other, three levels deep: ls -R, find, tar, realpath,
# /proc/self/cwd, findmnt and df tell the same story as the same tree made of real files.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar realpath
mkdir -p "$W"/src/{app/conf,app/data,first/x,second/x,second/y} "$W/base/app/old" "$W/base/other"
echo conf >"$W/src/app/conf/c"
echo secret >"$W/src/app/conf/key"
echo 1 >"$W/src/first/x/one"
echo 1 >"$W/src/first/both"
echo 2 >"$W/src/second/x/two"
echo 2 >"$W/src/second/both"
echo 2 >"$W/src/second/y/z"
echo o >"$W/base/other/o"
mkdir -p "$W/src/app/data/scratch"
cat >"$W/p.yaml" <<'YAML'
viewsh: 1
name: patchwork
mounts:
  - {type: bind, at: base/app, source: src/app}
  - {type: merge, at: base/app/data, sources: [src/first, src/second]}
  - {type: tmpfs, at: base/app/data/x, options: [size=1M]}
  - {type: bind, at: base/other, source: src/second/y, options: [ro]}
  - {type: hide, at: base/app/conf/key}
YAML
# What it should look like, of real files.
mkdir -p "$T/real/base"
cp -r "$W/src/app" "$T/real/base/app"
rm -r "$T/real/base/app/data" "$T/real/base/app/conf/key"
mkdir -p "$T/real/base/app/data/x"
cp -r "$W/src/second/both" "$W/src/second/y" "$T/real/base/app/data/"
cp "$W/src/first/both" "$T/real/base/app/data/"
cp -r "$W/src/second/y" "$T/real/base/other"
before=$(snapshot --exact "$W")
cd "$W" || exit 1
view() { "$VIEWSH" run -p "$W/p.yaml" -- "$@"; }
assert_eq "ls -R" "$(cd "$T/real" && ls -R base)" "$(view ls -R base)"
assert_eq "find" "$(cd "$T/real" && find base -printf '%p %y\n' | sort)" "$(view find base -printf '%p %y\n' | sort)"
assert_eq "tar" "$(tar cf - -C "$T/real" base | tar tf - | sort)" "$(view tar cf - base | tar tf - | sort)"
assert_eq "contents" "$(cd "$T/real" && find base -type f | sort | xargs cat)" \
  "$(view sh -c 'find base -type f | sort | xargs cat')"
assert_eq "realpath" "$W/base/app/data/y/z" "$(view realpath base/app/data/x/../y/z)"
assert_eq "cwd" "$W/base/app/data/x" "$(view sh -c 'cd base/app/data/x && readlink /proc/self/cwd')"
assert_eq "pwd" "$W/base/app" "$(view sh -c 'cd base/app/data/x && cd -P ../.. && pwd -P')"
assert_contains "mounts" "$(view cat /proc/self/mounts)" "$W/base/app/data/x tmpfs"
assert_contains "mountinfo" "$(view cat /proc/self/mountinfo)" " $W/base/other "
if command -v findmnt >/dev/null; then
  assert_eq "findmnt" tmpfs "$(view findmnt -n -o FSTYPE -T base/app/data/x)"
  assert_eq "findmnt target" "$W/base/app" "$(view findmnt -n -o TARGET -T base/app/conf)"
fi
assert_eq "df" "$W/base/app/data/x" "$(view df --output=target base/app/data/x | tail -1)"
assert_eq "rm in the ro part" "kept" "$(view sh -c 'rm -f base/other/z 2>/dev/null || echo kept')"
assert_eq "nothing written" "$before" "$(snapshot --exact "$W")"

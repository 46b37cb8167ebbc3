#!/bin/bash
# find -exec, -delete, -newer, -execdir, and xargs -P8.
. "$(dirname "$0")/../support/lib.sh"
for d in a b c d e; do
  mkdir -p "$W/tree/$d/x/y"
  for i in $(seq 1 30); do echo "$d $i" >"$W/tree/$d/x/f$i"; done
done
find "$W/tree" -exec touch -d 2006-06-06 {} +
compare <<'BODY'
set -e
find tree -type f -name 'f1*' -exec wc -c {} + | tail -1
find tree -name f2 -exec cp {} {}.copy \;
find tree -newermt 2010-01-01 -type f | sort
find tree -name 'f3*' -delete; find tree -type f | wc -l
find tree -name f4 -execdir mv {} renamed \; ; find tree -name renamed | sort
find tree -type f -print0 | sort -z | xargs -0 -P8 -n1 sh -c 'echo extra >>"$1"; cp "$1" "$1.p"' sh
find tree -name '*.p' -print0 | xargs -0 cat | sort | uniq -c | tail -1
find tree -name '*.p' -print0 | xargs -0 -P8 -n3 rm
seq 1 200 | xargs -P8 -I{} sh -c 'mkdir -p out/{} && echo {} >out/{}/f && mv out/{}/f out/{}/g'
cat out/*/g | sort -n | tail -1
find out -mindepth 1 -type d | wc -l
find tree -depth -type d -empty -print -delete | sort
chmod -R go-rwx tree; find tree -perm /077 | wc -l
du -s --apparent-size -b out >/dev/null; cp -r tree copy; rm -rf tree; ls
BODY

#!/bin/bash
# commit of a whole layer leaves what the commands would have made without a view.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/tree/a/b" "$W/tree/gone/deep" "$W/tree/moved"
for i in 1 2 3; do echo "$i" >"$W/tree/a/f$i"; done
echo g >"$W/tree/gone/deep/g"
echo m >"$W/tree/moved/m"
ln "$W/tree/a/f1" "$W/tree/a/b/hard"
touch -d 2008-08-08 "$W/tree/a/f2"
cat >"$T/body.sh" <<'BODY'
cd tree || exit
echo more >>a/f1; rm -r gone; mv moved elsewhere; mkdir gone; echo new >gone/new
ln -s a/f2 link; chmod 600 a/f3; touch -d 2009-09-09 a/f3; mkfifo fifo; mv a/f2 elsewhere/
rm -r a/b; echo file >a/b; truncate -s 1M sparse; ln elsewhere/m second; mkdir -m 1777 sticky
printf x >"$(printf 'odd\nname')"; mkdir .wh.dir; : >.wh.file
BODY
cp -a "$W" "$T/input"
new_second
cd "$W" && bash "$T/body.sh"
cd "$T" || exit
snapshot "$W" "$new_second" >"$T/expected"
rm -r "$W" && cp -a "$T/input" "$W" && cd "$W" || exit
"$VIEWSH" run --cow / --layer t -- bash "$T/body.sh" || die "run"
"$VIEWSH" commit t >/dev/null || die "commit"
snapshot "$W" "$new_second" >"$T/got"
diff "$T/expected" "$T/got" || die "not the same"
[ -z "$("$VIEWSH" diff t 2>/dev/null | grep -E '^[AMDRT] ')" ] || die "something is left in the layer"

#!/bin/bash
# A layer's tar, laid over a copy of the tree below as OCI says, gives the tree that the view showed;
# so does an import of it, and what it holds comes in one order.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar zstd
mkdir -p "$W/tree/a/b" "$W/tree/gone/deep" "$W/tree/moved/in/it"
for i in 1 2 3; do echo "$i" >"$W/tree/a/f$i"; done
echo g >"$W/tree/gone/deep/g"
echo m >"$W/tree/moved/in/it/m"
ln "$W/tree/a/f1" "$W/tree/a/b/hard"
ln -s nowhere "$W/tree/a/link"
find "$W/tree" -exec touch -h -d '2008-08-08 08:08:08.123456789' {} +
cat >"$T/body.sh" <<'BODY'
echo more >>a/f1; rm -r gone; mv moved elsewhere; mkdir gone; echo new >gone/new
ln -sf a/f2 link; chmod 600 a/f3; touch -d 2009-09-09 a/f3; mkfifo fifo; mv a/f2 elsewhere/
rm a/link; mkdir a/link; : >a/link/x; truncate -s 1M sparse; ln elsewhere/in/it/m second
printf x >"$(printf 'odd\nname\377')"; mkdir -m 1777 sticky; mkdir empty; rm -r a/b; echo file >a/b
find . -newermt 2010-01-01 -exec touch -h -d '2012-12-12 12:12:12.987654321' {} +
BODY
cd "$W/tree" || exit
"$VIEWSH" run --cow "$W/tree" --layer t -- bash "$T/body.sh" || die "run"
"$VIEWSH" run --cow "$W/tree" --layer t -- bash "$support/snapshot.sh" . >"$T/view" || die "view"
cd "$T" || exit
before=$(snapshot --exact "$W/tree")
assert_eq "said" "t: exported to t.tar.zst: " "$("$VIEWSH" export t t.tar.zst | grep -o '^.*zst: ')"
"$VIEWSH" export t - | cmp - <(zstd -dc t.tar.zst) || die "to standard output it is another"
"$VIEWSH" export --compress gzip t t.tgz >/dev/null || die "gzip"
gzip -dc t.tgz | cmp - <(zstd -dc t.tar.zst) || die "gzip: another archive"
list=$(tar -tf t.tar.zst) || die "tar -t"
for name in .wh.moved a/.wh.f2 gone/.wh..wh..opq gone/new elsewhere/in/it/m ./ second; do
  grep -qxF "$name" <<<"$list" || die "no $name in: $list"
done
assert_lacks "of itself" "$list" 'PaxHeader|\.wh\.a'

# The rules of the image specification, with tar(1): marks first, then what is there.
cp -a "$W/tree" "$T/applied"
while IFS= read -r mark; do
  case $mark in
    *.wh..wh..opq) find "$T/applied/${mark%/*}" -mindepth 1 -delete ;;
    *) rm -r "$T/applied/${mark/.wh./}" ;;
  esac
done < <(grep -a '\.wh\.' <<<"$list")
rm -r "$T/applied/a/link" "$T/applied/a/b"
tar -xpf t.tar.zst --xattrs --overwrite --exclude='.wh.*' -C "$T/applied" || die "tar -x"
snapshot "$T/applied" >"$T/got"
diff "$T/view" "$T/got" || die "applied to a copy it is another tree"

"$VIEWSH" import --at "$W/tree" t.tar.zst copy >/dev/null || die "import"
"$VIEWSH" import --at "$W/tree" - piped <t.tgz >/dev/null || die "import from standard input"
for layer in copy piped; do
  (cd "$W/tree" && "$VIEWSH" run --cow "$W/tree" --layer $layer -- bash "$support/snapshot.sh" .) \
    >"$T/got" || die "the view of $layer"
  diff "$T/view" "$T/got" || die "imported it is another tree"
  "$VIEWSH" diff $layer >"$T/diff.$layer" || die "diff"
done
assert_eq "the lower" "$before" "$(snapshot --exact "$W/tree")"
refused 125 'is there already' "$VIEWSH" import t.tar.zst copy
head -c 1000 t.tar.zst >cut.zst
refused 125 'cut.zst: .*runcated' "$VIEWSH" import cut.zst copy2
layers=${XDG_STATE_HOME:-$HOME/.local/state}/viewsh/layers
assert_eq "what is left" "copy piped t" "$(find "$layers" -mindepth 1 -maxdepth 1 -printf "%f\n" | sort | xargs)"
"$VIEWSH" commit copy >/dev/null || die "commit"
snapshot "$W/tree" | grep -v '^\.* | d' >"$T/got"
diff <(grep -v '^\.* | d' "$T/view" | cut -d'|' -f1-4) <(cut -d'|' -f1-4 "$T/got") ||
  die "committed it is another tree"

#!/bin/bash
# export --overlayfs writes what the kernel shows as the view did, mounted with userxattr; what is
# changed through that mount comes in again.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need unshare mount
probe() { # does this kernel let an ordinary user mount one?
  mkdir -p "$T/p/l" "$T/p/u" "$T/p/w" "$T/p/m"
  unshare -Urm mount -t overlay \
    -o "userxattr,lowerdir=$T/p/l,upperdir=$T/p/u,workdir=$T/p/w" none "$T/p/m" 2>/dev/null
}
mkdir -p "$W/tree/a/b" "$W/tree/gone/deep" "$W/tree/moved"
for i in 1 2 3; do echo "$i" >"$W/tree/a/f$i"; done
echo g >"$W/tree/gone/deep/g"
echo m >"$W/tree/moved/m"
find "$W/tree" -exec touch -h -d '2008-08-08 08:08:08.123456789' {} +
cd "$W/tree" || exit
"$VIEWSH" run --cow "$W/tree" --layer t -- sh -c '
  echo more >>a/f1; rm -r gone; mkdir gone; echo new >gone/new; mv moved elsewhere; rm a/f2
  chmod 700 a; : >.wh.name; ln a/f3 third
  find . -newermt 2010-01-01 -exec touch -h -d 2012-12-12 {} +' || die "run"
"$VIEWSH" run --cow "$W/tree" --layer t -- bash "$support/snapshot.sh" . >"$T/view" || die "view"
cd "$T" || exit
refused 125 '\.wh\.name: a name that begins with \.wh\.' "$VIEWSH" export t t.tar
[ ! -e t.tar ] || die "a file is left"
"$VIEWSH" export --overlayfs upper t >/dev/null || die "export"
refused 125 'upper: ' "$VIEWSH" export --overlayfs upper t
"$VIEWSH" import --at "$W/tree" --overlayfs upper back >/dev/null || die "import"
(cd "$W/tree" && "$VIEWSH" run --cow "$W/tree" --layer back -- bash "$support/snapshot.sh" .) \
  >"$T/got" || die "the view of the import"
diff "$T/view" "$T/got" || die "imported it is another tree"
probe || skip "overlayfs with userxattr can't be mounted here (the rest is as it should be)"
mkdir work mnt
unshare -Urm bash -c '
  mount -t overlay -o "userxattr,lowerdir=$1/tree,upperdir=upper,workdir=work" none mnt || exit
  bash "$2/snapshot.sh" mnt >got || exit
  echo changed >mnt/third; rm -r mnt/elsewhere; mv mnt/gone mnt/there 2>/dev/null || cp -a mnt/gone mnt/there
  rm -r mnt/a; mkdir mnt/a; echo x >mnt/a/x
  bash "$2/snapshot.sh" mnt 1400000000 >after' - "$W" "$support" || die "overlayfs"
diff "$T/view" "$T/got" || die "overlayfs shows another tree"
"$VIEWSH" import --at "$W/tree" --overlayfs upper after >/dev/null || die "import of what was changed"
(cd "$W/tree" && "$VIEWSH" run --cow "$W/tree" --layer after -- \
  bash "$support/snapshot.sh" . 1400000000) >"$T/got" || die "the view of what was changed"
diff "$T/after" "$T/got" || die "what overlayfs changed comes in as another tree"

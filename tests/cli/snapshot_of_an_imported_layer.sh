#!/bin/bash
# What an import wrote is sound, can be remembered and taken back; a layer that was taken back is
# exported as the same archive.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar
mkdir -p "$W/tree/a/b" "$W/tree/gone"
for i in 1 2 3; do echo "$i" >"$W/tree/a/f$i"; done
echo g >"$W/tree/gone/g"
ln "$W/tree/a/f1" "$W/tree/a/b/hard"
cd "$W/tree" || exit 1
cat >"$T/body.sh" <<'BODY'
echo more >>a/f1; rm -r gone; mkdir gone; echo new >gone/new; rm a/f2; mv a/b moved
echo one >first; ln first second; ln -s nowhere link; mkfifo fifo; chmod 600 a/f3
BODY
"$VIEWSH" run --cow "$W/tree" --layer t -- bash "$T/body.sh" || die "run"
"$VIEWSH" export t "$T/t.tar" >/dev/null || die "export"
"$VIEWSH" import --at "$W/tree" "$T/t.tar" copy >/dev/null || die "import"
for layer in t copy; do
  grep -aqE '^[0-9a-f]{8} state [1-9][0-9]*$' "$T/state/viewsh/layers/$layer/log" || die "$layer: no state"
  assert_eq "verified" "$layer: good" "$("$VIEWSH" layers --verify $layer)"
  "$VIEWSH" snapshot $layer before >/dev/null || die "snapshot of $layer"
  "$VIEWSH" export $layer "$T/$layer.1" >/dev/null || die "export of $layer"
  "$VIEWSH" run --cow "$W/tree" --layer $layer -- \
    bash -c 'echo worse >>first; rm a/f1 gone/new; mv a other; rm link; echo x >a2' || die "changes in $layer"
  "$VIEWSH" export $layer "$T/$layer.2" >/dev/null || die "export of the changed $layer"
  if cmp -s "$T/$layer.1" "$T/$layer.2"; then die "$layer: nothing was changed"; fi
  "$VIEWSH" restore $layer before >/dev/null || die "restore of $layer"
  "$VIEWSH" export $layer "$T/$layer.3" >/dev/null || die "export of the restored $layer"
  cmp "$T/$layer.1" "$T/$layer.3" || die "$layer: restored, it is another archive"
  assert_eq "restored" "$layer: good" "$("$VIEWSH" layers --verify $layer)"
done
cmp "$T/t.tar" "$T/t.1" || die "a snapshot changes the archive"
cp -a "$T/state/viewsh/layers/copy" "$T/state/viewsh/layers/cut"
sed -i '$d' "$T/state/viewsh/layers/cut/log"
sed -i '$d' "$T/state/viewsh/layers/cut/log"
refused 125 'log is cut off' "$VIEWSH" export cut "$T/cut.tar"
[ ! -e "$T/cut.tar" ] || die "an export of half a layer"

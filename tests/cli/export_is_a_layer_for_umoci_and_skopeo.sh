#!/bin/bash
# Tools of the OCI world take an exported layer: umoci puts it on an image and unpacks both to what
# the view showed, skopeo copies the image.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need umoci tar
mkdir -p "$W/tree/a" "$W/tree/gone/deep"
echo 1 >"$W/tree/a/1"
echo 2 >"$W/tree/a/2"
echo g >"$W/tree/gone/deep/g"
find "$W/tree" -exec touch -h -d 2008-08-08 {} +
cd "$T" || exit
umoci init --layout img && umoci new --image img:base || die "umoci new"
tar -C "$W/tree" --owner=0 --group=0 -cf base.tar . && umoci raw add-layer --image img:base base.tar ||
  die "base layer"
(cd "$W/tree" && "$VIEWSH" run --cow "$W/tree" --layer t -- sh -c '
  rm a/1; echo more >>a/2; rm -r gone; mkdir gone; echo n >gone/n; truncate -s 300K sparse
  echo end >>sparse; ln -s a/2 link; ln gone/n hard; umask 0; mkfifo fifo; mkdir "$(printf "x\n")"
  find . -newermt 2010-01-01 -exec touch -h -d 2012-12-12 {} +') || die "run"
(cd "$W/tree" && "$VIEWSH" run --cow "$W/tree" --layer t -- bash "$support/snapshot.sh" .) >view
"$VIEWSH" export t t.tar >/dev/null || die "export"
umoci raw add-layer --image img:base t.tar || die "umoci takes the layer"
umoci unpack --rootless --image img:base bundle >umoci.log 2>&1 || die "unpack: $(cat umoci.log)"
bash "$support/snapshot.sh" bundle/rootfs >got
diff view got || die "unpacked it is another tree"
if command -v skopeo >/dev/null; then
  skopeo copy --insecure-policy oci:img:base oci:copy:base >skopeo.log 2>&1 ||
    die "skopeo: $(cat skopeo.log)"
fi

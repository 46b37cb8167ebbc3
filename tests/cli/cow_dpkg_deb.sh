#!/bin/bash
# dpkg-deb: builds a package, unpacks it, reads its fields.
. "$(dirname "$0")/../support/lib.sh"
need dpkg-deb
mkdir -p "$W/pkg/DEBIAN" "$W/pkg/usr/share/thing" "$W/pkg/usr/bin"
printf 'Package: thing\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: d\n' \
  >"$W/pkg/DEBIAN/control"
for i in $(seq 1 50); do echo "$i" >"$W/pkg/usr/share/thing/$i"; done
printf '#!/bin/sh\necho thing\n' >"$W/pkg/usr/bin/thing"
chmod 755 "$W/pkg/usr/bin/thing"
ln -s ../share/thing/1 "$W/pkg/usr/bin/link"
ln "$W/pkg/usr/share/thing/2" "$W/pkg/usr/share/thing/hard"
find "$W/pkg" -exec touch -h -d 2007-07-07 {} +
export SOURCE_DATE_EPOCH=1000000000
compare <<'BODY'
set -e
dpkg-deb --root-owner-group -b pkg thing.deb
dpkg-deb -x thing.deb out
dpkg-deb -e thing.deb control
dpkg-deb -c thing.deb | tail -5
dpkg-deb -f thing.deb Package Version
out/usr/bin/thing
dpkg-deb -R thing.deb raw && diff -r --no-dereference pkg raw && echo same
BODY

#!/bin/bash
# Every kind of archive, mounted, is what its own program unpacks: contents, types, permissions, links.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
need genisoimage xorriso zip unzip 7z cpio tar xz zstd gzip bzip2 ar
cd "$W" || exit 1

mkdir -p src/dir/sub "src/a name with spaces" src/empty
echo one >src/one
printf '#!/bin/sh\necho "script says $*"\n' >src/run
chmod 755 src/run
chmod 640 src/one
head -c 300000 /dev/urandom >src/dir/random
head -c 70000 /dev/zero >src/dir/zeros
for i in $(seq 60); do echo "$i" >"src/dir/sub/$i"; done
echo text >"src/a name with spaces/und ein Ümlaut"
ln -s dir/random src/link
ln -s ../nowhere src/dir/dangling
touch -d '2001-02-03 04:05:06' src/one src/dir

# shown SPEC: what a view has at /mnt/image must be what is in ./want, by diff(1) and by stat(1).
shown() {
  local spec=$1 what=$2
  "$VIEWSH" run --mount "$spec:/mnt/image" -- bash -c '
    diff -r --no-dereference /mnt/image want || exit 1
    diff -r --no-dereference want /mnt/image || exit 1
    cd /mnt/image && find . -printf "'"$what"'" | sort' >got.list || die "$spec: it differs"
  (cd want && find . -printf "$what" | sort) >want.list
  diff want.list got.list || die "$spec: the nodes differ"
}
all='%P %y %m %l %Ts\n'
modes='%P %y %m %l\n'
names='%P %y %l\n'

rm -rf want && cp -a src want
tar -C src -cf t.tar . && shown tar:t.tar "$all"
for how in gzip bzip2 xz zstd; do
  tar -C src -cf - . | $how >"t.tar.$how"
  shown "tar:t.tar.$how" "$all"
done
shown auto:t.tar.zstd "$all"
(cd src && find . | cpio -o -H newc --quiet) >t.cpio && shown cpio:t.cpio "$all"
(cd src && zip -qry ../t.zip .) && shown zip:t.zip "$modes"
(cd src && 7z a -bd -snl ../t.7z . >/dev/null) && shown 7z:t.7z "$names"
genisoimage -quiet -R -o rock.iso src 2>/dev/null && shown iso9660:rock.iso "%P %y %l %Ts\n"
xorriso -outdev xorriso.iso -map src / -commit >/dev/null 2>&1 && shown iso9660:xorriso.iso "%P %y %m %l %Ts\n"
# Joliet alone has no links and no permissions.
rm -rf want && cp -rL src/. want 2>/dev/null
rm -f want/dir/dangling
rm -f want/link && rm -rf bare && mkdir bare && cp -a src/. bare && rm bare/link bare/dir/dangling
genisoimage -quiet -J -input-charset utf-8 -o joliet.iso bare 2>/dev/null && shown iso9660:joliet.iso '%P %y\n'
out=$("$VIEWSH" run --mount iso9660:joliet.iso:/mnt/image -- stat -c '%a %u' /mnt/image/one /mnt/image/dir)
assert_eq 'without Rock Ridge' "$(printf '555 0\n555 0')" "$out"
out=$("$VIEWSH" run --mount "iso9660:joliet.iso:/mnt/image:mode=640,dmode=750,uid=$(id -u)" -- stat -c '%a %u' /mnt/image/one /mnt/image/dir)
assert_eq 'with mode=, dmode= and uid=' "$(printf '640 %s\n750 %s' "$(id -u)" "$(id -u)")" "$out"

# A .deb is an ar; what is in it are archives again.
mkdir -p deb/DEBIAN deb/usr/share/thing
printf 'Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n' >deb/DEBIAN/control
cp -a src/. deb/usr/share/thing
dpkg-deb --build --root-owner-group deb thing.deb >/dev/null || die dpkg-deb
member=$(ar t thing.deb | grep ^data)
out=$("$VIEWSH" run --mount auto:thing.deb:/mnt/deb --mount "auto:/mnt/deb/$member:/mnt/image:uid=$(id -u)" -- \
  bash -c 'cat /mnt/deb/debian-binary; ls /mnt/deb | wc -l; diff -r --no-dereference src /mnt/image/usr/share/thing && echo same') || die "a .deb: $out"
assert_eq 'a .deb' "$(printf '2.0\n3\nsame')" "$out"

#!/bin/bash
# mount(2) and umount2(2) in a view: what they answer, and what is seen afterwards, is what Linux says
# in a mount namespace of one's own.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cat >"$T/body.sh" <<BODY
cd "$W" || exit 1
m() { "$P/mount_call" mount "\$@"; }
u() { "$P/mount_call" umount "\$@"; }
go() { "$P/mount_call" "\$@"; }
BODY
cat >>"$T/body.sh" <<'BODY'
RDONLY=1 REMOUNT=32 BIND=4096 MOVE=8192 REC=16384 PRIVATE=0x40000 SLAVE=0x80000 NOEXEC=8
DETACH=2 NOFOLLOW=8
mkdir -p d e f s && echo lower >d/low && touch file && ln -sfn d link
echo '--- tmpfs'
m none d tmpfs 0 size=1m; ls d
echo one >d/f && cat d/f
m none d tmpfs 0 -; ls d; echo two >d/g; u d 0; cat d/f
m none d nosuch 0 -; m none d - 0 -; m none none tmpfs 0 -; m none file tmpfs 0 -
m none link tmpfs 0 -; touch link/y; ls d; u link $NOFOLLOW; u link 0
u e 0; u none 0; u d 64
echo '--- bind'
m d e - $BIND -; cat e/f; m d file - $BIND -; m - e - $BIND -; m nowhere e - $BIND -
m d/f file - $BIND -; cat file; u file 0
m none e - $((BIND | REMOUNT | RDONLY)) -; (echo x >e/x) 2>&1 | grep -o 'Read-only.*'; echo y >d/y
m none e - $((BIND | REMOUNT)) -; echo z >e/z; ls d
mkdir d/sub && m none d/sub tmpfs 0 - && touch d/sub/in; ls e/sub
m d f - $BIND -; ls f/sub; u f 0; m d f - $((BIND | REC)) -; ls f/sub; u f 0; u f/sub 0; u f 0
u d 0; u d/sub 0; m none e/sub tmpfs 0 -; u e 0; u e/sub 0; u e 0
echo '--- move'
m d f - $MOVE -; ls d f; m f f/sub - $MOVE -; m d e - $MOVE -; m f/f e - $MOVE -; m f file - $MOVE -
m none f/sub tmpfs 0 -; touch f/sub/k; (cd f && cp /bin/true . && m . ../d - $MOVE -; ls); ls d/sub f; u d/sub 0
echo '--- remount'
m none d - $((REMOUNT | RDONLY)) -; (echo x >d/x) 2>&1 | grep -o 'Read-only.*'
m none d - $REMOUNT -; echo x >d/x; m none e - $REMOUNT -; m none d/sub - $((REMOUNT | RDONLY)) -
exec 7>d/w; m none d - $((REMOUNT | RDONLY)) -; exec 7>&-; m none d - $((REMOUNT | RDONLY)) -; m none d - $REMOUNT -
m none d - $((REMOUNT | BIND | NOEXEC)) -; d/true 2>/dev/null; echo $?; [ -x d/true ]; echo $?
m none d - $((REMOUNT | BIND)) -; d/true; echo $?
echo '--- propagation'
m none d - $PRIVATE -; m none d - $((SLAVE | REC)) -; m none e - $PRIVATE -; m none d - $((PRIVATE | SLAVE)) -
echo '--- busy'
exec 7<d/f; u d 0; exec 7<&-; (cd d && u ../d 0); sleep 100 <d/f & until [[ $(readlink "/proc/$!/fd/0") == */d/f && $(readlink "/proc/$!/exe") == */sleep ]]; do :; done; u d 0; kill $!; wait $! 2>/dev/null
cp /bin/sleep d; d/sleep 100 & until grep -q d/sleep /proc/$!/maps; do :; done; u d 0; kill $!; wait $! 2>/dev/null
(exec 7>d/gone; rm d/gone; u d 0)
u d 0; ls d
echo '--- lazy'
m none d tmpfs 0 -; mkdir d/a; echo deep >d/a/f; (cd d/a && u ../../d $DETACH; ls "$OLDPWD/d"; cat f; echo new >n && ls && cd .. && ls)
m none d tmpfs 0 -; echo held >d/f; go detached d; ls d
m none d tmpfs 0 -; echo held >d/f; go covered d; ls d; u d 0; u d 0
echo '--- covered'
m none d tmpfs 0 -; echo under >d/f
(cd d && m none . tmpfs 0 -; ls; cat f; ls "$PWD"; cd "$PWD"; ls; u . 0; cd ..; u d 0); cat d/f
u d 0; u d 0; ls d
BODY
"$VIEWSH" run --allow mount -- bash "$T/body.sh" >"$T/view" 2>"$T/view.err" || die "in the view: $(tail -3 "$T/view.err")"
sort -u "$T/view.err" | grep -v Terminated | head -3
assert_contains 'a tmpfs' "$(cat "$T/view")" 'ok'
assert_eq 'below untouched' low "$(ls d 2>/dev/null || ls "$W/d")"
for dir in e f s; do assert_eq "$dir untouched" '' "$(ls "$W/$dir")"; done
rm -rf "${W:?}"/*
unshare -rm true 2>/dev/null || skip "no user namespaces here, so that Linux can't be asked"
unshare -rm bash "$T/body.sh" >"$T/native" 2>"$T/native.err" || die "natively: $(tail -3 "$T/native.err")"
diff "$T/native" "$T/view" || die "native (<) and view (>) differ"

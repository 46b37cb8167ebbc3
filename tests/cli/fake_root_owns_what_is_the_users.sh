#!/bin/bash
# What belongs to the user is shown as root's by every call, what belongs to others as it is; giving it to
# root changes nothing, giving it to others is refused, and the host's owners stay what they were.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
echo text >f && mkdir d && ln -s f link && mkfifo fifo
zeros='0:0 0:0 0:0 0:0 0:0 0:0 0:0 0:0 0:0'
own=$(id -u):$(id -g)
for options in "" "--cow /" "--mincow /" "--bind $W/d:/mnt" "--tmpfs /mnt"; do
  for what in f d fifo .; do
    # shellcheck disable=SC2086
    assert_eq "$what $options" "$zeros" "$("$VIEWSH" run --fake-root $options -- "$P/ids" owner "$what")"
  done
done
assert_eq 'the host' "$own" "$(stat -c %u:%g f)"
assert_eq 'of another' "$(stat -c %u:%g /etc/passwd)" "$("$VIEWSH" run --uid 5 --gid 6 -- stat -c %u:%g /etc/passwd)"
assert_eq 'of the user' 5:6 "$("$VIEWSH" run --uid 5 --gid 6 -- stat -c %u:%g f)"
assert_eq 'a link' 0:0 "$("$VIEWSH" run --fake-root -- stat -c %u:%g link)"
assert_eq 'a pipe' 0:0 "$("$VIEWSH" run --fake-root -- sh -c 'true | stat -L -c %u:%g /dev/stdin')"
assert_eq 'new ones' '0:0 0:0' "$("$VIEWSH" run --fake-root -- sh -c 'touch n; mkdir nd; stat -c %u:%g n nd' | xargs)"
assert_eq 'new ones on the host' "$own $own" "$(stat -c %u:%g n nd | xargs)"
assert_eq 'ls' 'root root root root' "$("$VIEWSH" run --fake-root -- ls -l f n | awk '{print $3, $4}' | xargs)"
assert_eq 'test' 'O G' "$("$VIEWSH" run --fake-root -- bash -c '[ -O f ] && echo O; [ -G f ] && echo G' | xargs)"
assert_eq 'find' './f' "$("$VIEWSH" run --fake-root -- find . -user 0 -name f)"
if command -v python3 >/dev/null; then
  assert_eq 'fstat again and again' 0 "$("$VIEWSH" run --fake-root --cow / -- python3 -c '
import os
fd = os.open("f", os.O_RDONLY)
print(max(max(os.fstat(fd).st_uid, os.stat("f").st_uid) for _ in range(200)))')"
fi

all() { printf '%s: %s\n' chown "$1" lchown "$1" fchown "$1" fchownat "$1" 'fchownat of a descriptor' "$1"; }
for options in "" "--cow /" "--mincow /"; do
  # shellcheck disable=SC2086
  chown_as() { "$VIEWSH" run $options "$@"; }
  assert_eq "to root $options" "$(all ok)" "$(chown_as --fake-root -- "$P/ids" chown f 0 0)"
  assert_eq "to nobody else $options" "$(all ok)" "$(chown_as --fake-root -- "$P/ids" chown f 4294967295 4294967295)"
  assert_eq "what is root's already $options" "$(all ok)" "$(chown_as --fake-root -- "$P/ids" chown /etc/passwd 0 0)"
  assert_eq "to another $options" "$(all EPERM)" "$(chown_as --fake-root -- "$P/ids" chown f 33 33)"
  assert_eq "to the user outside $options" "$(all EPERM)" "$(chown_as --fake-root -- "$P/ids" chown f "$(id -u)" "$(id -g)")"
  assert_eq "to oneself $options" "$(all ok)" "$(chown_as --uid 5 --gid 6 -- "$P/ids" chown f 5 6)"
  assert_eq "what is another's $options" "$(all EPERM)" "$(chown_as --uid 5 --gid 6 -- "$P/ids" chown /etc/passwd 5 6)"
  assert_eq "what is another's to another $options" "$(all EPERM)" "$(chown_as --fake-root -- "$P/ids" chown /etc/passwd 33 33)"
done
# Natively a change of owner takes the set-user-id bit away, and so it does here.
chmod 4755 f
"$VIEWSH" run --fake-root -- chown root:root f
assert_eq 'set-user-id' 755 "$(stat -c %a f)"
assert_eq 'the host at last' "$own" "$(stat -c %u:%g f)"
echo x | "$VIEWSH" run --fake-root -- install -o root -g root -m 640 /dev/stdin installed || die install
assert_eq installed "640 $own" "$(stat -c '%a %u:%g' installed)"

# A layer is root's to change, the host is not.
assert_eq 'in the layer' 'made 0:0' "$("$VIEWSH" run --fake-root --cow / -- sh -c 'echo made >/etc/viewsh-test && cat /etc/viewsh-test && stat -c %u:%g /etc/viewsh-test' | xargs)"
[ ! -e /etc/viewsh-test ] || die 'it is on the host'
assert_status 2 "$VIEWSH" run --fake-root -- sh -c 'exec 2>/dev/null; : >/etc/viewsh-test'
# The kernel goes by modes all the same.
chmod 400 f
assert_status 2 "$VIEWSH" run --fake-root --cow / -- sh -c 'exec 2>/dev/null; echo more >f'
assert_eq 'the owner changes the mode' more "$("$VIEWSH" run --fake-root --cow / -- sh -c 'chmod 600 f && echo more >f && cat f')"
assert_eq 'what the host has' text "$(cat f)"
mkdir tree && echo a >tree/a
"$VIEWSH" run --fake-root -- tar -cf t.tar tree || die tar
assert_eq 'tar writes root' 'root/root root/root' "$(tar -tvf t.tar | awk '{print $2}' | xargs)"
rm -r tree
"$VIEWSH" run --fake-root -- tar -xf t.tar || die 'tar -x of what is root'"'"'s'
assert_eq unpacked "$own" "$(stat -c %u:%g tree/a)"
if command -v dpkg-deb >/dev/null; then
  mkdir -p pkg/DEBIAN pkg/opt && echo x >pkg/opt/x
  printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: d\n' >pkg/DEBIAN/control
  "$VIEWSH" run --fake-root -- dpkg-deb --build pkg >/dev/null || die dpkg-deb
  assert_eq 'a package' root/root "$(dpkg-deb -c pkg.deb | awk '{print $2}' | sort -u)"
fi

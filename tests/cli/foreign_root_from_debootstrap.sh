#!/bin/bash
# --root with a whole distribution: its shell, its tools, its package list.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
root=${VIEWSH_FOREIGN_ROOT-}
[ -n "$root" ] || skip "VIEWSH_FOREIGN_ROOT names no root file system"
[ -x "$root/bin/sh" ] || die "there is no $root/bin/sh"
before=$(cd "$root" && find bin etc -maxdepth 1 -printf '%p %T@ %C@ %s\n' 2>/dev/null | sort)
view() { "$VIEWSH" run --root "$root" --cow / --bind /proc:/proc --cwd / -- "$@"; }
assert_eq "names" "$(ls "$root/etc")" "$(view /bin/ls /etc)"
assert_eq "pipes" 3 "$(view /bin/sh -c 'printf "a\nb\nc\n" | wc -l' | tr -d ' ')"
view /bin/sh -c 'mkdir -p /tmp/x/y && echo z >/tmp/x/y/z && cat /tmp/x/y/z && rm -r /tmp/x' || die "files"
if [ -x "$root/usr/bin/dpkg-query" ]; then
  view /usr/bin/dpkg-query -W -f '${Package}\n' | grep -qx dpkg || die "dpkg-query"
fi
assert_eq "untouched" "$before" "$(cd "$root" && find bin etc -maxdepth 1 -printf '%p %T@ %C@ %s\n' 2>/dev/null | sort)"

#!/bin/bash
# statx, faccessat2, fchmodat2, renameat2, copy_file_range as current programs use them, on a bound path.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/real/d" "$W/place"
echo x >"$W/real/f"
echo y >"$W/real/d/g"
cd "$W" || exit 1
view() { "$VIEWSH" run --bind "$W/real:$W/place" -- bash -c "$1"; }
assert_eq "stat" "regular file 2" "$(view 'stat -c "%F %s" place/f')"
assert_eq "test" yes "$(view '[ -r place/f ] && [ -w place/f ] && [ ! -x place/f ] && echo yes')"
view 'cp -r --preserve=all place/d place/e && mv -T --no-clobber place/e place/h && chmod -R go-rwx place/h' || die "cp, mv, chmod"
assert_eq "result" y "$(cat real/h/g)"
assert_eq "mode" 600 "$(stat -c %a real/h/g)"

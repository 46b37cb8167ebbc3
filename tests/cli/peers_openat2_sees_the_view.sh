#!/bin/bash
# openat2 of a bound path opens what the view has there; its RESOLVE flags know the view's borders.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/real" "$W/place"
echo view >"$W/real/f"
ln -s "$W/place/f" "$W/real/absolute"
ln -s ../outside "$W/real/up"
echo host >"$W/place/f"
echo outside >"$W/outside"
cd "$W" || exit 1
view() { "$VIEWSH" run --bind "$W/real:$W/place" -- "$P/openat2_cat" "$@"; }
assert_eq "relative" view "$(view place/f)"
assert_eq "absolute" view "$(view "$W/place/f")"
assert_eq "absolute link" view "$(view place/absolute)"
assert_eq "link up" outside "$(view place/up)"
assert_eq "RESOLVE_NO_XDEV at the border" EXDEV "$(view place/f 1)"
assert_eq "RESOLVE_NO_SYMLINKS" ELOOP "$(view place/absolute 4)"
assert_eq "RESOLVE_BENEATH" view "$(view place/f 8)"
assert_eq "RESOLVE_BENEATH, link up" outside "$(view place/up 8)"
assert_eq "hidden" ENOENT "$("$VIEWSH" run --hide "$W/place" -- "$P/openat2_cat" place/f)"

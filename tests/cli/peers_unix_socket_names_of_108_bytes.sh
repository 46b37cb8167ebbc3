#!/bin/bash
# AF_UNIX names of up to 108 bytes work in a bound and in a copy-on-write place.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/real" "$W/place"
cd "$W" || exit 1
for length in 90 106 107 108; do
  name=$W/place/$(printf '%0*d' $((length - ${#W} - 7)) 0)
  assert_eq "length" "$length" "${#name}"
  assert_eq "bind $length" "$name" "$("$VIEWSH" run --bind "$W/real:$W/place" -- "$P/unix_name" "$name")"
  [ -S "$W/real/${name##*/}" ] || die "not bound in the real directory"
  assert_eq "cow $length" "$name" "$("$VIEWSH" run --cow / -- "$P/unix_name" "$name")"
  [ ! -e "$name" ] || die "the socket is really there"
done

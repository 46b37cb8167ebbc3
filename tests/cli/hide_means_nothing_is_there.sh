#!/bin/bash
# --hide: ENOENT by every call and name, not in listings; outside nothing changed.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/dir/secret/deep"
echo s >"$W/dir/secret/key"
echo v >"$W/dir/visible"
ln -s dir/secret/key "$W/link"
cd "$W/dir/secret" || exit 1
cd "$W" || exit 1
hidden() { "$VIEWSH" run --hide "$W/dir/secret" -- "$@" 2>&1; }
assert_eq "listing" visible "$(hidden ls -A dir)"
for command in 'cat dir/secret/key' 'ls dir/secret' 'stat dir/secret' 'cat link' 'cat dir/../dir/secret/key' \
  'cd dir/secret' 'cat /proc/self/cwd/dir/secret/key' 'test -e dir/secret/deep'; do
  if hidden sh -c "$command" >"$T/out"; then die "reached: $command"; fi
  grep -qE 'No such file|can.t cd' "$T/out" || [ ! -s "$T/out" ] || die "$command: $(cat "$T/out")"
done
assert_eq "openat2" ENOENT "$(hidden "$P/openat2_cat" dir/secret/key)"
assert_eq "find" "dir dir/visible" "$(hidden find dir | sort | tr '\n' ' ' | sed 's/ $//')"
assert_eq "outside" s "$(cat dir/secret/key)"

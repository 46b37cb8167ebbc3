#!/bin/bash
# The shipped profiles are listed, valid, and do what they say.
. "$(dirname "$0")/../support/lib.sh"
needs_view
list=$("$VIEWSH" profiles) || die "profiles"
for name in app-test dev-overlay; do
  assert_contains "listed" "$list" "$name"
  "$VIEWSH" check "$name" >/dev/null || die "check $name"
  "$VIEWSH" show -p "$name" >/dev/null || die "show $name"
done
cd "$W" || exit 1
echo real >f
before=$(snapshot --exact "$W")
assert_eq "app-test" changed "$("$VIEWSH" run -p app-test -- sh -c 'echo changed >f; rm -rf tmp; cat f')"
assert_eq "untouched" "$before" "$(snapshot --exact "$W")"
mkdir -p stage/bin "$HOME/.ssh"
echo key >"$HOME/.ssh/id"
printf '#!/bin/sh\necho from the overlay\n' >stage/bin/overlay-program
chmod +x stage/bin/overlay-program
cd stage || exit 1
assert_eq "dev-overlay" "from the overlay" "$("$VIEWSH" run -p dev-overlay -- overlay-program)"
assert_eq "keys hidden" hidden "$("$VIEWSH" run -p dev-overlay -- sh -c 'cat ~/.ssh/id 2>/dev/null || echo hidden')"

#!/bin/bash
# A layer in use is neither remembered nor taken back nor mended; the line names the view.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
"$VIEWSH" run --cow "$W" --layer t -- sh -c 'echo 1 >f' || die "a layer"
"$VIEWSH" snapshot t one >/dev/null || die snapshot
"$VIEWSH" run --cow "$W" --layer t -- sh -c 'echo up >f; exec sleep 60' &
wait_for 20 grep -q up "$T/state/viewsh/layers/t/upper/f"
for command in "snapshot t two" "restore t one" "snapshot --delete t one" "layers --repair t" "layers --verify t"; do
  # shellcheck disable=SC2086 # words
  refused 125 'in use by view' "$VIEWSH" $command
done
assert_eq "history" 1 "$(($("$VIEWSH" snapshot t | wc -l) - 1))"
kill %1
wait %1
"$VIEWSH" restore t one >/dev/null || die "restore afterwards"
assert_eq "restored" 1 "$("$VIEWSH" run --cow "$W" --layer t -- cat f)"
refused 125 'no such snapshot' "$VIEWSH" restore t none
refused 125 'one file name' "$VIEWSH" snapshot t a@b
refused 125 'exists already' "$VIEWSH" snapshot t one
refused 125 "did you mean 't'" "$VIEWSH" snapshot tt one

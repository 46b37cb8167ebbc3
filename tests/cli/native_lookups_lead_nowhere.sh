#!/bin/bash
# A program that makes the calls of the engine's own code, which aren't stopped, changes nothing by them,
# neither in the lower tree nor among the layers; and where a view hides something, they are stopped.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir secret
echo secret >secret/file
echo lower >file
in_layer() { "$VIEWSH" run --cow / --layer other -- sh -c 'echo kept >kept-file'; }
in_layer || die "no layer"
before=$(find "$W" "$XDG_STATE_HOME/viewsh/layers" -type f -printf '%p %m %s %T@\n' | sort)
upper=$XDG_STATE_HOME/viewsh/layers/other/upper$W
"$VIEWSH" run --cow / -- sh -c "$P/native_lookup file $W made; $P/native_lookup $upper/kept-file $upper made" \
  >"$T/out" 2>&1 || die "it ended with $?: $(cat "$T/out")"
after=$(find "$W" "$XDG_STATE_HOME/viewsh/layers" -type f -printf '%p %m %s %T@\n' | sort)
assert_eq "what is on the host" "$before" "$after"
assert_eq "the lower file" lower "$(cat file)"
for view in "--cow / --hide $W/secret" "--cow / --tmpfs $W/secret" "--cow / --bind $W/file:$W/secret/file"; do
  # shellcheck disable=SC2086 # words
  out=$("$VIEWSH" run $view -- "$P/native_lookup" secret/file secret made 2>&1)
  assert_lacks "$view" "$out" 'content: secret'
done

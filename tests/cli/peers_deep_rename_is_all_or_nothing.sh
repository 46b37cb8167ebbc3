#!/bin/bash
# rename of a large lower directory, killed at any moment: done or not done, and nothing lost.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/big"
for i in $(seq 1 20); do
  mkdir "$W/big/d$i"
  for k in $(seq 1 20); do echo "$i $k" >"$W/big/d$i/f$k"; done
done
cd "$W" || exit 1
all=$(cd big && find . -type f | sort | xargs sha256sum)
for round in 1 2 3 4 5 6; do
  "$VIEWSH" run --cow / --layer r$round -- perl -e 'for (1 .. 1000) { rename "big", "moved"; rename "moved", "big" }' &
  engine=$!
  # A different moment each time: after so many further processes have started and ended.
  for _ in $(seq 1 $((round * 7))); do /bin/true; done
  kill -KILL $engine
  wait $engine 2>/dev/null
  got=$("$VIEWSH" run --cow / --layer r$round -- sh -c \
    'ls -d big moved 2>/dev/null | wc -l; cd big 2>/dev/null || cd moved; find . -type f | sort | xargs sha256sum') ||
    die "round $round: the layer does not open"
  assert_eq "round $round" "$(printf '1\n%s' "$all")" "$got"
  "$VIEWSH" discard r$round >/dev/null || die "discard"
done

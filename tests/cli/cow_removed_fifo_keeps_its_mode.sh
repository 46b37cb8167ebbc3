#!/bin/bash
# A FIFO of the lower that is open in the view, and removed there, can't be changed through its
# descriptor: it is the lower's own object.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/d"
mkfifo "$W/d/fifo" "$W/d/other"
before=$(snapshot --exact "$W/d")
for layer in "" "--layer t"; do
  # shellcheck disable=SC2086
  "$VIEWSH" run --cow "$W/d" $layer -- perl -MPOSIX -e 'chdir shift; use strict;
    open my $f, "+<", "fifo" or die; open my $g, "+<", "other" or die;
    unlink "fifo" or die; rename "other", "new" or die;
    print chmod(0666, $f) ? "changed" : "refused: " . ($!{EROFS} ? "EROFS" : $!), "\n";
    utime(1000000000, 1000000000, $f); utime(1000000000, 1000000000, $g);
    print syswrite($f, "x"), "\n"' "$W/d" >"$T/out" || die "the view"
  assert_eq "through the descriptor" "$(printf 'refused: EROFS\n1')" "$(cat "$T/out")"
  assert_eq "modes" "$(echo "$before" | cut -d'|' -f1-3)" "$(snapshot --exact "$W/d" | cut -d'|' -f1-3)"
  [ -z "$(find "$W/d" -name 'f*' ! -newermt 2010-01-01)" ] || die "the time was set"
done

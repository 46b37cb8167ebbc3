#!/bin/bash
# A directory of the lower that is changed while somebody reads it: what was there, and still is,
# comes exactly once, whether names are made, removed or both; and an emptied one can be removed.
. "$(dirname "$0")/../support/lib.sh"
cat >"$T/read.pl" <<'BODY'
use strict;
my ($dir, $how) = @ARGV;
opendir my $d, $dir or die "$dir: $!";
my (%seen, $n);
while (defined(my $name = readdir $d)) {
  $seen{$name}++;
  next if $name !~ /^f/;
  # Changes begin with the first names, long before the second buffer of them is read.
  if ($how ne "remove" && $n < 3) { open my $f, ">", "$dir/new$n" or die "new$n: $!"; }
  if ($how ne "make") { unlink "$dir/$name" or die "$name: $!"; }
  $n++;
}
my @wrong = grep { ($seen{$_} // 0) != 1 } ".", "..", map { "f$_" } 1 .. 3000;
print scalar(@wrong), " of 3000 not once: @wrong[0 .. 2]\n" if @wrong;
print "$how: $n names\n";
if ($how eq "remove") { rmdir $dir or die "rmdir: $!"; }
BODY
for parent in "$W" /dev/shm; do
  in=$(mktemp -d "$parent/listed.XXXXXX") || die "mktemp"
  for how in make remove both; do
    mkdir "$in/$how"
    (cd "$in/$how" && seq -f 'f%.0f' 3000 | xargs touch) || die "files"
  done
  for how in make remove both; do
    out=$(run_view --cow "$in" -- perl "$T/read.pl" "$in/$how" "$how" 2>&1)
    assert_eq "$how in $parent" "$how: 3000 names" "$out"
  done
  rm -rf "$in"
done

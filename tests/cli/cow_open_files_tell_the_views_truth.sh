#!/bin/bash
# fstat of an open file: mode, owner and link count are those of the view, whenever it was opened.
. "$(dirname "$0")/../support/lib.sh"
need perl
for name in a b c d g h; do echo "$name" >"$W/$name"; done
ln "$W/g" "$W/g2"
ln "$W/h" "$W/h2"
mkdir "$W/dir"
compare <<'BODY'
perl -e '
  my %open;
  for my $name (qw(a b c d g h)) { open $open{$name}, "<", $name or die }
  sub tell_all {
    printf "%s:", $_[0];
    for my $name (sort keys %open) {
      my @s = stat $open{$name}; printf " %s %o %d", $name, $s[2], $s[3];
    }
    print "\n";
  }
  tell_all "first";
  chmod 0600, "a" or die; tell_all "chmod";
  rename "a", "a2" or die; chmod 0640, "a2"; tell_all "moved";
  open my $w, ">>", "b" or die; print $w "more"; close $w; chmod 0400, "b"; tell_all "written";
  unlink "b" or die; tell_all "removed copy";
  unlink "c" or die; tell_all "removed";
  rename "a2", "d" or die; tell_all "replaced";
  link "d", "e" or die; tell_all "linked";
  unlink "g" or die; tell_all "one of two"; unlink "g2" or die; tell_all "both";
  chmod 0604, "h2" or die; tell_all "by the other name";
  unlink "h" or die; tell_all "one copy of two"; unlink "h2" or die; tell_all "both copies";
  open my $new, "+<", "d" or die; chmod 0444, "d"; printf "%o\n", (stat $new)[2];
  unlink "d", "e"; print((stat $new)[3], "\n");
  open my $dir, "<", "dir" or die; chmod 0711, "dir"; printf "%o\n", (stat $dir)[2];
  rmdir "dir" or die; print((stat $dir)[3], "\n");
'
BODY

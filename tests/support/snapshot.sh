#!/bin/bash
# snapshot.sh [--exact] DIR [SINCE]: a line for each name below DIR, sorted:
#   path | type | mode | size | links | first other name | modification time | content or target
#
# Times from SINCE (seconds) on read "new", sizes and link counts of directories "-": they may differ
# between two runs of the same commands. --exact leaves nothing out and adds inode, blocks and change
# time: it tells whether anything at all was written.
# SNAPSHOT_VOLATILE (a regular expression on paths): what of these files depends on the time; only
# name, type and mode are told. SNAPSHOT_IGNORE: not told at all.
set -u -o pipefail
exact=0
if [ "$1" = --exact ]; then
  exact=1
  shift
fi
cd "$1" || exit 1
{
  find . -printf '%y\t%m\t%s\t%n\t%i\t%T@\t%C@\t%b\t%l\t%P\0'
  printf '\1\0'
  find . -type f -readable -print0 | xargs -0 -r sha256sum -z
} | EXACT=$exact SINCE=${2:-9999999999} perl -0 -ne '
  chomp;
  if ($_ eq "\1") { $hashes = 1; next; }
  if ($hashes) { $hash{$2} = $1 if /^(\S+) [ *]\.\/(.*)$/s; next; }
  my @f = split /\t/, $_, 10;
  $of{$f[9]} = [@f[0 .. 8]];
  END {
    my ($exact, $since) = ($ENV{EXACT}, $ENV{SINCE});
    my ($volatile, $ignore) = ($ENV{SNAPSHOT_VOLATILE} // "", $ENV{SNAPSHOT_IGNORE} // "");
    for my $path (sort keys %of) {
      next if $ignore ne "" && $path =~ /$ignore/;
      my ($type, $mode, $size, $links, $inode, $mtime, $ctime, $blocks, $target) = @{$of{$path}};
      my $first = $names{$inode} //= $path;
      my $what = $type eq "l" ? "-> $target" : $hash{$path} // "";
      my $unsure = $volatile ne "" && $path =~ /$volatile/;
      # What passes through a FIFO or a socket is not content, but sets its times.
      ($mtime, $ctime) = ("-", "-") if $type =~ /[ps]/;
      my $time = $mtime ne "-" && $mtime >= $since ? "new" : $mtime;
      if (!$exact) {
        ($size, $links) = ("-", "-") if $type eq "d";
        ($size, $what, $links, $time, $first) = ("~", "~", "~", "~", $path) if $unsure;
      }
      $first = $first eq $path ? "" : "= $first";
      my $line = join " | ", $path, $type, $mode, $size, $links, $first, $time, $what;
      $line .= " | $inode | $blocks | $ctime" if $exact;
      $line =~ s/([\x00-\x1f\x7f-\xff])/sprintf("\\x%02x", ord $1)/ge;
      print "$line\n";
    }
  }'

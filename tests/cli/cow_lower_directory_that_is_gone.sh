#!/bin/bash
# A directory of the lower that is removed or replaced while it is open or worked in has no names.
. "$(dirname "$0")/../support/lib.sh"
need perl
mkdir -p "$W/d/sub" "$W/e" "$W/open"
echo text >"$W/d/f"
echo text >"$W/d/sub/g"
echo text >"$W/e/h"
echo text >"$W/open/i"
compare <<'BODY'
perl -e '
  sub names { my @n = sort readdir $_[0]; rewinddir $_[0]; "[@n]" }
  sub try { my ($what, $done) = @_; print "$what: ", $done ? "done" : $!, "\n" }
  opendir my $d, "d"; opendir my $e, "e"; opendir my $o, "open"; readdir $o; rewinddir $o;
  chdir "d" or die;
  system "rm -r ../d ../open; mkdir ../d; echo new >../d/new";
  print "d ", names($d), " open ", names($o), "\n";
  opendir my $here, "."; print "here ", $here ? names($here) : $!, "\n";
  try "f", open my $f, "<", "f";
  try "at", syscall(257, fileno $d, "f", 0, 0) >= 0;
  try "new at", syscall(257, fileno $d, "new", 0, 0) >= 0;
  try "mkdir", mkdir "x";
  try "up", -e "../e/h";
  print "links ", (stat $d)[3], " ", (stat $o)[3], "\n";
  chdir "../e" or die;
  system "rm h; mkdir ../t; touch ../t/x; mv -T ../t ../e";
  print "e ", names($e), "\n";
  try "x", -e "x";
  print "cwd ", defined readlink("/proc/self/cwd") ? "" : $!, "\n";
  chdir ".." or die; opendir my $now, "e"; print "now ", names($now), "\n";
'
ls d
BODY

#!/bin/bash
# perl: file tests, opendir, rename, flock, pipes, in-place editing, sockets.
. "$(dirname "$0")/../support/lib.sh"
need perl
mkdir "$W/dir"
for i in 1 2 3 4 5; do echo "line $i" >"$W/dir/f$i"; done
cat >"$W/main.pl" <<'PL'
use strict; use warnings; use Fcntl qw(:flock :mode); use Socket; use Cwd;
print join(" ", sort map { s{.*/}{}r } glob "dir/*"), "\n";
opendir(my $d, "dir") or die; my @names = sort grep { !/^\./ } readdir $d; rewinddir $d;
print scalar(@names), " ", scalar(() = readdir $d), "\n";
rename "dir", "renamed" or die; print -d "renamed" ? "dir" : "none", -e "dir" ? " old" : "", "\n";
mkdir "dir" or die; print scalar(() = glob "dir/*"), "\n";
open(my $f, "+<", "renamed/f1") or die; flock($f, LOCK_EX) or die;
my $pid = fork // die;
if (!$pid) { open(my $g, "<", "renamed/f1") or exit 2; exit(flock($g, LOCK_EX | LOCK_NB) ? 1 : 0); }
waitpid $pid, 0; print "lock held: ", $? >> 8, "\n";
print $f "LINE"; close $f; print -s "renamed/f1", " ", (stat "renamed/f1")[3], "\n";
{ local ($^I, @ARGV) = (".orig", "renamed/f2"); while (<>) { s/line/row/; print; } }
print `cat renamed/f2 renamed/f2.orig`;
open(my $p, "-|", "ls renamed | tail -1") or die; print <$p>; close $p;
open(my $w, "|-", "cat >piped") or die; print $w "through a pipe\n"; close $w;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; syswrite $a, "socket\n";
print scalar <$b>; utime 1e9, 1.1e9, "piped" or die; print +(stat "piped")[9], "\n";
symlink "piped", "link" or die; link "piped", "hard" or die; print readlink("link"), "\n";
truncate "hard", 4; print -s "piped", "\n"; chmod 0604, "piped"; printf "%04o\n", (stat "hard")[2] & 07777;
chdir "renamed" or die; print getcwd() =~ m{/renamed$} ? "cwd\n" : "wrong\n"; unlink glob "f[345]";
exit 5;
PL
compare 5 <<'BODY'
perl main.pl
BODY

#!/bin/bash
# ro: nothing below can be changed, by no call and through no name; EROFS, as of a read-only mount.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir -p "$W/real/sub" "$W/place" "$W/out"
echo keep >"$W/real/f"
ln -s f "$W/real/link"
ln -s "$W/place/f" "$W/out/in"
cd "$W" || exit 1
before=$(snapshot --exact "$W/real")
cat >"$T/body.pl" <<'PL'
use POSIX; use Fcntl; use filetest 'access';
my %tries = (
  write => sub { open my $f, ">>", "place/f" }, create => sub { open my $f, ">", "place/new" },
  link_in => sub { open my $f, ">>", "out/in" }, mkdir => sub { mkdir "place/d" },
  unlink => sub { unlink "place/f" }, rmdir => sub { rmdir "place/sub" },
  rename => sub { rename "place/f", "place/g" }, symlink => sub { symlink "x", "place/s" },
  hardlink => sub { link "place/f", "place/h" }, chmod => sub { chmod 0600, "place/f" },
  utime => sub { utime 1, 1, "place/f" }, truncate => sub { truncate "place/f", 0 },
  mkfifo => sub { POSIX::mkfifo("place/p", 0600) }, rdwr => sub { sysopen my $f, "place/f", O_RDWR },
  cwd => sub { open my $f, ">>", "/proc/self/cwd/place/f" },
  dir_fd => sub { open my $d, "<", "place/f"; open my $f, ">>", "/proc/self/fd/" . fileno($d) },
);
for my $name (sort keys %tries) {
  my $done = $tries{$name}->();
  print "$name: ", $done ? "done" : $!{EROFS} ? "EROFS" : $!, "\n" if $done || !$!{EROFS};
}
print -w "place/f" ? "writable\n" : "not writable\n";
open my $f, "<", "place/f" or die; print <$f>;
print rename("place/f", "out/f") ? "moved out\n" : "stays\n";
print link("place/f", "out/l") ? "linked out\n" : "not linked\n";
PL
got=$("$VIEWSH" run --bind "$W/real:$W/place:ro" -- perl "$T/body.pl")
assert_eq "read-only" "$(printf 'not writable\nkeep\nstays\nnot linked')" "$got"
assert_eq "untouched" "$before" "$(snapshot --exact "$W/real")"

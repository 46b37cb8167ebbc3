#!/bin/bash
# Between file systems of the host rename and link say EXDEV in one cow mount, too; mv(1) copies.
. "$(dirname "$0")/../support/lib.sh"
need perl
[ -w /dev/shm ] || skip "/dev/shm can't be written"
[ "$(stat -c %d /dev/shm)" != "$(stat -c %d "$W")" ] || skip "all of it is one file system"
other=$(mktemp -d /dev/shm/viewsh-test.XXXXXX)
trap 'rm -rf "$other"' EXIT
mkdir "$W/dir" "$other/sub"
echo text >"$W/f"
echo text >"$W/dir/g"
echo text >"$other/there"
body='
  my ($w, $o) = @ARGV; mkdir "$w/new"; mkdir "$o/new"; open my $f, ">", "$w/made"; close $f;
  sub try { my ($what, $done) = @_; print "$what: ", $done ? "done" : $!, "\n" }
  try "file", rename "$w/f", "$o/f"; try "made", rename "$w/made", "$o/new/made";
  try "dir", rename "$w/dir", "$o/sub/dir"; try "link", link "$w/f", "$o/l";
  try "back", rename "$o/there", "$w/new/there"; try "onto", rename "$w/f", "$o/there";
  try "inside", rename "$o/there", "$o/new/there"; try "inside too", rename "$w/dir", "$w/new/dir";
  system "mv", "$w/f", "$o/f"; system "cat", "$o/f"; print -e "$w/f" ? "left" : "gone", "\n";'
in_cow perl -e "$body" "$W" "$other" >"$T/view" 2>&1
assert_eq "the real files" "there" "$(cd "$other" && ls -p | grep -v /)"
perl -e "$body" "$W" "$other" >"$T/native" 2>&1
diff "$T/native" "$T/view" || die "native (<) and view (>) differ"
grep -q 'file: Invalid cross-device link' "$T/native" || die "natively: $(cat "$T/native")"

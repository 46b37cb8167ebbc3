#!/bin/bash
# A tree deeper than PATH_MAX is listed, changed, shown by diff, committed and discarded.
. "$(dirname "$0")/../support/lib.sh"
need perl find
needs_view
deep() { # DIR CODE: perl code run at the end of a chain of directories
  perl -e '
    my ($top, $code) = @ARGV; chdir $top or die;
    for (1 .. 55) { my $name = "d" x 200; mkdir $name; chdir $name or die "$!" }
    eval $code; die $@ if $@;' "$1" "$2"
}
put='sub put { open my $f, ">", $_[0] or die "$_[0]: $!"; print $f $_[1]; close $f }'
deep "$W" "$put"' put "old", "old"; put "gone", "gone"; mkdir "dir"; put "dir/in", "in";'
cd "$W" || exit 1
before=$(find . -printf '%p %m %s %T@\n')
change="$put"' put "old", "new"; put "fresh", "fresh"; unlink "gone" or die $!; mkdir "made" or die;
  rename "dir", "dir2" or die $!; link "fresh", "fresh2" or die $!; symlink "t", "s" or die $!;
  chmod 0600, "old" or die $!; print readlink("s"), " ", join(" ", sort glob "*"), "\n";'
export -f deep
got=$("$VIEWSH" run --cow / --layer t -- bash -c 'deep "$@"' x "$W" "$change") || die "run"
assert_eq "in the view" "t dir2 fresh fresh2 made old s" "$got"
assert_eq "the real files" "$before" "$(find . -printf '%p %m %s %T@\n')"
listed=$("$VIEWSH" run --cow / --layer t -- find . -type f -printf '%f %m %s\n' | sort) || die "find"
assert_eq "found in the view" "$(printf 'fresh 644 5\nfresh2 644 5\nin 644 2\nold 600 3')" "$listed"
patch=$("$VIEWSH" diff --patch t) || die "diff"
assert_contains "patch" "$patch" '^\+new'
assert_contains "patch" "$patch" '^-gone'
"$VIEWSH" commit t >/dev/null || die "commit"
listed=$(find . -mindepth 56 -printf '%f %y %m %s\n' | grep -v ' d ' | sort)
assert_eq "committed" "$(printf 'fresh f 644 5\nfresh2 f 644 5\nin f 644 2\nold f 600 3\ns l 777 1')" "$listed"
"$VIEWSH" run --cow / --layer t -- rm -r "$W/$(printf 'd%.0s' {1..200})" || die "rm -r"
assert_contains "diff" "$("$VIEWSH" diff t)" '^D .*/d{200}/$'
"$VIEWSH" discard t >/dev/null || die "discard"
[ -d "$W/$(printf 'd%.0s' {1..200})" ] || die "gone"
rm -r "$W/$(printf 'd%.0s' {1..200})"

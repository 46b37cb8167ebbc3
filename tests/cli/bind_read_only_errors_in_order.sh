#!/bin/bash
# Of several errors a read-only mount gives the one that Linux gives: EROFS is not the first.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need perl
mkdir -p "$W/real/sub" "$W/place" "$W/out"
echo keep >"$W/real/f"
mkfifo "$W/real/fifo"
echo other >"$W/out/o"
cd "$W" || exit 1
got=$("$VIEWSH" run --bind "$W/real:$W/place:ro" -- perl -e '
  sub try { my ($what, $done) = @_; print "$what: ", $done ? "done" : $!, "\n" }
  try "link to a file", link "place/f", "place/sub";
  try "link to itself", link "place/f", "place/f";
  try "link", link "place/f", "place/new";
  try "link of nothing", link "place/none", "place/new";
  try "link from outside to a file", link "out/o", "place/f";
  try "link from outside", link "out/o", "place/new";
  try "link to outside", link "place/f", "out/new";
  try "truncate a directory", truncate "place/sub", 0;
  try "truncate a fifo", truncate "place/fifo", 0;
  try "truncate", truncate "place/f", 0;
  try "truncate nothing", truncate "place/none", 0;
') || die "run"
assert_eq "errors" "link to a file: File exists
link to itself: File exists
link: Read-only file system
link of nothing: No such file or directory
link from outside to a file: File exists
link from outside: Read-only file system
link to outside: Invalid cross-device link
truncate a directory: Is a directory
truncate a fifo: Invalid argument
truncate: Read-only file system
truncate nothing: No such file or directory" "$got"

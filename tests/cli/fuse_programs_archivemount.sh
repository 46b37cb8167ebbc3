#!/bin/bash
# archivemount in a view: a tar archive, which is written anew when it is taken away.
. "$(dirname "$0")/../support/lib.sh"
need archivemount tar
. "$support/fuse_programs.sh"
tar -czf image.tar.gz -C tree . || die tar
in_view <<'BODY'
archivemount image.tar.gz mnt || wrong "archivemount: $?"
mounted mnt
diff -r --no-dereference tree mnt || wrong "another tree"
cp -r mnt out && diff -r --no-dereference tree out || wrong "cp -r"
mkdir mnt/new && echo text >mnt/new/file || wrong "written"
rm mnt/none || wrong rm
unmounts mnt archivemount
BODY
mkdir after && tar -xzf image.tar.gz -C after || die "the archive afterwards"
assert_eq 'in the archive' text "$(cat after/new/file)"
[ ! -e after/none ] || die "what was removed"
by_profile fuse.archivemount "$W/image.tar.gz" '' <<'BODY'
[ "$(cat mnt/new/file)" = text ] || wrong "another tree"
BODY

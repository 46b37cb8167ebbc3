#!/bin/bash
# disorderfs in a view: names in another order.
. "$(dirname "$0")/../support/lib.sh"
need disorderfs
. "$support/fuse_programs.sh"
mkdir src
in_view <<'BODY'
disorderfs -q src mnt || wrong "disorderfs: $?"
mounted mnt
works mnt tree
cp -a tree src/t; shows mnt/t tree
unmounts mnt disorderfs
BODY
by_profile fuse.disorderfs "$W/src" '' <<'BODY'
shows mnt/t tree
works mnt tree
BODY

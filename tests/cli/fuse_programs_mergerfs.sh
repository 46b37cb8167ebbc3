#!/bin/bash
# mergerfs in a view: several directories as one.
. "$(dirname "$0")/../support/lib.sh"
need mergerfs
. "$support/fuse_programs.sh"
mkdir one two && cp -a tree one/t
in_view <<'BODY'
mergerfs one:two mnt || wrong "mergerfs: $?"
mounted mnt
shows mnt/t tree
works mnt tree
echo second >two/only && cat mnt/only >/dev/null || wrong "of the second"
unmounts mnt mergerfs
BODY
by_profile fuse.mergerfs "$W/one" '' <<'BODY'
shows mnt/t tree
works mnt tree
BODY

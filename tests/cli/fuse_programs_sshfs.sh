#!/bin/bash
# sshfs in a view, to an sftp server over its standard input and output: libfuse 3 with a program below it.
. "$(dirname "$0")/../support/lib.sh"
need sshfs
. "$support/fuse_programs.sh"
server=/usr/lib/openssh/sftp-server
[ -x "$server" ] || skip "sftp-server is not installed"
mkdir src
# The owner of a link is set where it leads, also on Linux's FUSE; that may not be there yet.
plain_tree plain
printf '#!/bin/sh\nexec %s\n' "$server" >ssh && chmod 755 ssh
in_view <<'BODY'
sshfs -o no_contain_symlinks -o "ssh_command=$PWD/ssh" "nobody:$PWD/src" mnt || wrong "sshfs: $?"
mounted mnt
works mnt plain
cp -a tree src/t; shows mnt/t tree
unmounts mnt sshfs
ended sftp-server
BODY
diff -r --no-dereference tree src/t || die "what is on the host"
by_profile fuse.sshfs "nobody:$W/src" "no_contain_symlinks, 'ssh_command=$W/ssh'" <<'BODY'
shows mnt/t tree
works mnt plain
BODY
[ -z "$(servers sftp-server)" ] || die "sftp-server goes on"

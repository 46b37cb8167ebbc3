#!/bin/bash
# gocryptfs in a view: FUSE in Go, without libfuse.
. "$(dirname "$0")/../support/lib.sh"
need gocryptfs
. "$support/fuse_programs.sh"
mkdir cipher
gocryptfs -q -init -scryptn 10 -extpass 'echo secret' cipher >"$T/mk" 2>&1 || die "init: $(cat "$T/mk")"
in_view <<'BODY'
gocryptfs -q -extpass 'echo secret' cipher mnt || wrong "gocryptfs: $?"
mounted mnt
works mnt tree
cp -a tree mnt/t; shows mnt/t tree
unmounts mnt gocryptfs
[ "$(find cipher -type f | wc -l)" -gt 5 ] || wrong "nothing is encrypted"
gocryptfs -q -extpass 'echo secret' cipher mnt || wrong "again: $?"
mounted mnt
shows mnt/t tree
unmounts mnt gocryptfs
BODY
# By profile it looks at its own mount, too, as all servers in Go do: in the view that it lives in.
echo secret >pass
# It gives fusermount3 no environment, by which that could be told what a user without an entry is called.
named gocryptfs || exit 0
if [ -n "$env" ]; then
  mkdir bin
  printf '#!/bin/sh\nexport LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=%s NSS_WRAPPER_GROUP=/etc/group\nexec %s "$@"\n' "$T/passwd" "$(command -v fusermount3)" >bin/fusermount3
  chmod 755 bin/fusermount3
  export PATH=$W/bin:$PATH
fi
by_profile fuse.gocryptfs "$W/cipher" "quiet, passfile=$W/pass" <<'BODY'
grep -q " $PWD/mnt fuse.gocryptfs " /proc/mounts || wrong "$(cat /proc/mounts)"
shows mnt/t tree
works mnt tree
BODY
by_profile fuse.gocryptfs "$W/cipher" "q, ro, extpass=cat $W/pass" <<'BODY'
shows mnt/t tree
! touch mnt/new 2>/dev/null || wrong "written to"
BODY

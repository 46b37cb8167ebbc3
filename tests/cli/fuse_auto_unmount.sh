#!/bin/bash
# -o auto_unmount: fusermount3 stays, and takes the mount away when its server is gone, killed or not;
# also for who speaks with fusermount3 himself (_FUSE_COMMFD), as servers without libfuse do.
. "$(dirname "$0")/../support/lib.sh"
need python3 fusermount3
. "$support/fuse_programs.sh"
cat >commfd.py <<'PY'
import array, os, socket, subprocess, sys
ours, theirs = socket.socketpair()
options = "auto_unmount,fsname=spoken,subtype=own" if len(sys.argv) > 2 else "fsname=spoken,subtype=own"
child = subprocess.Popen(["fusermount3", "-o", options, "--", sys.argv[1]], pass_fds=[theirs.fileno()],
                         env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())})
theirs.close()
_, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
fuse = array.array("i", control[0][2][:4])[0]
print("opcode", os.read(fuse, 1 << 18)[4], flush=True)
if len(sys.argv) <= 2:
    print("fusermount3", child.wait(), flush=True)
    os.execvp("umount", ["umount", "-l", sys.argv[1]])
PY
in_view <<'BODY'
gone() { # the mount, by itself
  local left=100
  while mountpoint -q mnt || grep -q " $PWD/mnt fuse" /proc/mounts; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || wrong "mnt is still mounted: $1"
    sleep 0.1
  done
  ended fusermount
}
[ "$(python3 commfd.py mnt)" = "$(printf 'opcode 26\nfusermount3 0')" ] || wrong "without auto_unmount"
[ "$(python3 commfd.py mnt auto)" = 'opcode 26' ] || wrong "with auto_unmount"
gone commfd
if command -v bindfs >/dev/null; then
  bindfs --no-allow-other -o auto_unmount -f tree mnt & server=$!
  mounted mnt
  shows mnt tree
  rm -r "$TMPDIR/out" 2>/dev/null
  kill -KILL "$server"
  gone bindfs
  bindfs --no-allow-other -o auto_unmount tree mnt || wrong "bindfs: $?"
  mounted mnt
  unmounts mnt bindfs
  ended fusermount
fi
if command -v sshfs >/dev/null && [ -x /usr/lib/openssh/sftp-server ]; then
  printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >ssh && chmod 755 ssh
  sshfs -f -o auto_unmount -o no_contain_symlinks -o "ssh_command=$PWD/ssh" "nobody:$PWD/tree" mnt & server=$!
  mounted mnt
  cmp mnt/a tree/a || wrong "sshfs"
  kill -KILL "$server"
  gone sshfs
fi
BODY

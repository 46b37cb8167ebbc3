#!/bin/bash
# Many processes make, rename and remove in several directories of one mount, whose server takes its time and
# does several things at once: each sees what it did itself, and at the end the server has what the mount shows.
# Arguments: another SEED, for other SECONDS.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
. "$(dirname "$0")/../support/fuse.sh"
export STRESS=$S/tests/programs/fuse_stress.py SEED=${1:-1} SECONDS_LONG=${2:-2}
for caches in '' MIRROR_NO_CACHE=1; do
  got=$(in_view 120 <<BODY
mkdir src/s mnt 2>/dev/null
export MIRROR_DELAY=5 $caches
$(cat <<'REST'
mirror
python3 "$STRESS" mnt/s "$SEED" "$SECONDS_LONG" || echo "stress $?"
(cd mnt && find . -printf '%y %m %s %p\n' | sort) >shown
find mnt -type f ! -name 'fight*' -exec md5sum {} + | sed 's# mnt/# #' | sort >content
(cd src && find . -printf '%y %m %s %p\n' | sort) >is
find src -type f ! -name 'fight*' -exec md5sum {} + | sed 's# src/# #' | sort >has
# The size of a directory is the server's file system's.
diff <(grep -v '^d' is) <(grep -v '^d' shown) && diff <(grep '^d' is | cut -d' ' -f1,2,4) <(grep '^d' shown | cut -d' ' -f1,2,4) && diff has content
umount mnt
ended
REST
)
BODY
  ) || die "$got"
  assert_eq "with ${caches:-caches}" 'server 0' "$got"
  rm -rf "$W/src/s"
done

# shellcheck shell=bash
# Sourced after lib.sh by scenarios of mount-host. Where the user may not use the kernel's FUSE, the
# whole script runs in a view with a FUSE of its own, mount-host included.
#
#   serve PROFILE_TEXT   shows it at $W/mnt, in the background
#   unserve              unmounts, and waits until all is written back
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need fusermount3 mountpoint

serve() {
  mkdir -p "$W/mnt"
  printf 'viewsh: 1\nname: served\n%s\n' "$1" >"$W/p.yaml"
  "$VIEWSH" mount-host "$W/p.yaml" "$W/mnt" || die "mount-host"
  mountpoint -q "$W/mnt" || die "nothing is mounted"
}
is_served() {
  pgrep -f "mount-host .*$W/p.yaml $W/mnt" >/dev/null
}
is_over() {
  ! is_served
}
unserve() {
  fusermount3 -u "$W/mnt" || die "umount"
  wait_for 30 is_over
}

# A sandbox may have the device and refuse the mount: mounting tells for sure.
has_host_fuse() {
  [ -w /dev/fuse ] || return 1
  mkdir "$W/probe"
  printf 'viewsh: 1\nname: probe\n' >"$W/probe.yaml"
  "$VIEWSH" mount-host "$W/probe.yaml" "$W/probe" 2>/dev/null || return 1
  fusermount3 -u "$W/probe"
}

[ -e "$(dirname "$VIEWSH")/../libexec/viewsh/host-mount.so" ] || skip "built without libfuse3"
if [ -z "${VIEWSH_TEST_IN_VIEW-}" ] && ! has_host_fuse; then
  rm -rf "$W"
  VIEWSH_TEST_IN_VIEW=1 "$VIEWSH" run --allow mount -- bash "$0"
  exit
fi
# A view doesn't show where it keeps what is its own.
export XDG_STATE_HOME=$W/state

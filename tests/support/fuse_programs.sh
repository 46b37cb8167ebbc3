# shellcheck shell=bash
# Sourced after lib.sh by scenarios with programs that serve FUSE mounts. They work in $W, where
# there is `tree` (fuse_work.sh), and a directory `mnt`.
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mountpoint fusermount3
cd "$W" || exit 1
. "$support/fuse_work.sh"
mkdir mnt
make_tree tree || die "the tree"
# fusermount3, ssh and others want to know what the user is called.
{ cat /etc/passwd && echo "tester:x:$(id -u):$(id -g):Tester:$HOME:/bin/bash"; } >"$T/passwd"

# in_view [OPTION...] <body: runs it with bash in a view in which may be mounted; all is well when
# its last line is "done".
in_view() {
  { echo ". '$support/fuse_work.sh'" && cat && echo 'echo done'; } >"$T/body.sh"
  "$VIEWSH" run --bind "$T/passwd:/etc/passwd" --allow mount --kill-on-exit "$@" -- bash -x "$T/body.sh" >"$T/view.out" 2>"$T/view.err" </dev/null
  [ "$(tail -n 1 "$T/view.out")" = done ] || die "in the view: $(tail -n 20 "$T/view.out" "$T/view.err")"
  assert_eq 'nothing on the host' '' "$(ls -A mnt)"
}

# named PROGRAM: sets `env`, with which a server, which has the system's /etc/passwd, is told what the
# user is called; empty where that is there. False: the program asks, and can't be told.
named() {
  local wrapper=libnss_wrapper.so
  env=
  ! id -un >/dev/null 2>&1 || return 0
  # Where the library is missing the dynamic linker says so.
  if [ -z "$(LD_PRELOAD=$wrapper env true 2>&1)" ]; then
    env="env: {set: {LD_PRELOAD: $wrapper, NSS_WRAPPER_PASSWD: '$T/passwd', NSS_WRAPPER_GROUP: /etc/group}}"
  elif [[ $1 =~ ^(sshfs|ntfs-3g|fuseiso|gocryptfs)$ ]]; then
    echo "not by profile: $1 wants to know what the user is called, who has no name, and libnss-wrapper isn't installed"
    return 1
  fi
}

# by_profile TYPE SOURCE OPTIONS <body: the same with the mount in a profile, the server started and
# ended by viewsh. No server is left when the view has ended.
by_profile() {
  local env program=${1#fuse.}
  named "$program" || return 0
  { echo ". '$support/fuse_work.sh'" && cat && echo 'echo done'; } >"$T/body.sh"
  printf 'viewsh: 1\n%s\nmounts:\n  - {type: bind, at: /etc/passwd, source: %s}\n' "$env" "$T/passwd" >"$T/p.yaml"
  printf '  - {type: %s, at: %s, source: "%s", options: [%s]}\n' "$1" "$W/mnt" "$2" "$3" >>"$T/p.yaml"
  "$VIEWSH" check "$T/p.yaml" >"$T/check" 2>&1 || die "check: $(cat "$T/check")"
  "$VIEWSH" run -p "$T/p.yaml" -- bash -x "$T/body.sh" >"$T/view.out" 2>"$T/view.err" </dev/null ||
    die "by profile: $? $(tail -n 20 "$T/view.out" "$T/view.err")"
  [ "$(tail -n 1 "$T/view.out")" = done ] || die "by profile: $(tail -n 20 "$T/view.out" "$T/view.err")"
  [ -z "$(servers "${program:0:15}")" ] || die "$program goes on: $(servers "$program")"
  assert_eq 'nothing on the host' '' "$(ls -A mnt)"
}

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
  "$VIEWSH" run --bind "$T/passwd:/etc/passwd" --allow mount "$@" -- bash -x "$T/body.sh" >"$T/view.out" 2>"$T/view.err" </dev/null
  [ "$(tail -n 1 "$T/view.out")" = done ] || die "in the view: $(tail -n 20 "$T/view.out" "$T/view.err")"
  assert_eq 'nothing on the host' '' "$(ls -A mnt)"
}

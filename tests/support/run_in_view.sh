#!/bin/bash
# run_in_view.sh native|empty|bind|cow|mincow|image|fakeroot|fakeuser PROGRAM [ARG...]: runs a test program as an ordinary user,
# in a private directory ($TMPDIR), with a time limit, natively or in a view.
#
#   empty  viewsh run
#   bind   viewsh run --bind REAL:PLACE, working in PLACE
#   cow    viewsh run --cow /; afterwards the real directory must be what it was
#   mincow viewsh run --mincow /: where everything may be done, it is done really
#   fakeroot, fakeuser  viewsh run --fake-root, --uid 1234 --gid 56; afterwards all is the user's
#   image  viewsh run --mount ext4:IMAGE:PLACE, working in PLACE; afterwards e2fsck finds nothing
set -u -o pipefail
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

inside() {
  local mode=$1 dir=$VIEWSH_TEST_DIR before status=0
  shift
  export VIEWSH_TEST_MODE=$mode
  case $mode in
    native)
      "$@" || status=$?
      ;;
    empty)
      "$VIEWSH" run -- "$@" || status=$?
      ;;
    bind)
      mkdir "$dir/real" "$dir/place"
      TMPDIR=$dir/place "$VIEWSH" run --bind "$dir/real:$dir/place" -- "$@" || status=$?
      if [ -n "$(ls -A "$dir/place")" ]; then
        echo "FAIL: the place that was bound over has files in it"
        status=1
      fi
      ;;
    cow)
      echo "content of the real file" >"$dir/tmp/lower"
      before=$("$support/snapshot.sh" --exact "$dir/tmp")
      "$VIEWSH" run --cow / -- "$@" || status=$?
      if [ "$before" != "$("$support/snapshot.sh" --exact "$dir/tmp")" ]; then
        echo "FAIL: the real directory was changed:"
        diff <(echo "$before") <("$support/snapshot.sh" --exact "$dir/tmp")
        status=1
      fi
      ;;
    mincow)
      "$VIEWSH" run --mincow / -- sh -c 'echo >"$TMPDIR/real"; exec "$@"' sh "$@" || status=$?
      if [ ! -e "$dir/tmp/real" ]; then
        echo "FAIL: what may be written was not written really"
        status=1
      fi
      ;;
    image)
      mkdir "$dir/place"
      export PATH=$PATH:/sbin:/usr/sbin
      command -v mkfs.ext4 >/dev/null || { echo "SKIP: mkfs.ext4 is not installed"; return 77; }
      mkfs.ext4 -q -F -b 4096 -E root_owner="$(id -u):$(id -g)" "$dir/image" 256M >"$dir/mkfs" 2>&1 ||
        { cat "$dir/mkfs"; return 1; }
      TMPDIR=$dir/place "$VIEWSH" run --mount "ext4:$dir/image:$dir/place" -- "$@" || status=$?
      e2fsck -fn "$dir/image" >"$dir/fsck" 2>&1 || { cat "$dir/fsck"; status=1; }
      ;;
    fakeroot | fakeuser)
      if [ "$mode" = fakeroot ]; then set -- --fake-root -- "$@"; else set -- --uid 1234 --gid 56 -- "$@"; fi
      "$VIEWSH" run "$@" || status=$?
      if [ -n "$(find "$dir" ! -user "$(id -u)" -o ! -group "$(id -g)")" ]; then
        echo "FAIL: there are files of others"
        status=1
      fi
      ;;
    *)
      echo "run_in_view.sh: unknown mode $mode"
      status=2
      ;;
  esac
  return "$status"
}

if [ -n "${VIEWSH_TEST_DIR-}" ]; then
  inside "$@"
  exit
fi
. "$support/private.sh"
VIEWSH=${VIEWSH:-$support/../../build/bin/viewsh}
if [ "$1" != native ] && [ ! -x "$VIEWSH" ]; then
  echo "FAIL: there is no $VIEWSH"
  exit 1
fi
private_run "${VIEWSH_TEST_LIMIT:-150}" "$support/run_in_view.sh" "$@"

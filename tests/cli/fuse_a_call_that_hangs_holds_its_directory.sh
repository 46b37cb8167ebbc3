#!/bin/bash
# A server that doesn't answer what makes, renames or removes something in a directory, or changes the
# attributes of a file, holds that directory, or file, and nothing else of its mount; who waits for it can be
# interrupted.
. "$(dirname "$0")/../support/lib.sh"
needs_view
. "$(dirname "$0")/../support/fuse.sh"
mkdir "$W/src/slow" "$W/src/quick" "$W/src/other" "$W/src/quick/sub"
# What is being renamed is held by libfuse as well.
echo content | tee "$W/src/slow/file" "$W/src/slow/still" "$W/src/quick/file" >"$W/src/quick/hang"
got=$(in_view 120 <<'BODY'
export MIRROR_HANGS=1
mirror
# What has to go on: in another directory, between others, and what is only looked at.
goes_on() {
  timeout 20 bash -e <<'PY' || echo "$1: nothing goes on: $?"
cd mnt
echo one >quick/new
mkdir quick/dir
mv quick/new quick/dir/moved
mv quick/dir/moved other/back
ln -s back other/link
chmod 600 other/back
touch -d 2001-01-01 other/back
[ "$(cat other/link quick/file slow/still)" = $'one\ncontent\ncontent' ]
rm other/back other/link
rmdir quick/dir
mv quick/sub other/sub
mv other/sub quick/sub
ls -l quick other >/dev/null
ls slow >/dev/null
df . >/dev/null
PY
}
goes_on before
# while NAME COMMAND: this hangs, and that doesn't care; SIGINT ends it.
while_hangs() {
  "${@:2}" & local hangs=$!
  sleep 0.5
  kill -0 "$hangs" || echo "$1: doesn't hang"
  goes_on "$1"
  kill -TERM "$hangs"
  wait "$hangs"
  [ $? = 143 ] || echo "$1: ended otherwise"
}
# Programs, not built into bash: a signal ends them.
while_hangs mkdir mkdir mnt/slow/hang
while_hangs create cp mnt/slow/file mnt/slow/hang
while_hangs symlink ln -s x mnt/slow/hang
while_hangs rename mv -T mnt/slow/file mnt/slow/hang
while_hangs chmod chmod 640 mnt/quick/hang
# In the same directory others wait until it is done.
mkdir mnt/slow/hang & hangs=$!
sleep 0.5
timeout 1 mkdir mnt/slow/second; echo "second $?"
: >src/go
wait "$hangs"; echo "hung $?"
mkdir mnt/slow/second; echo "again $?"
ls mnt/slow
rm src/go
rmdir mnt/slow/hang & hangs=$!
sleep 0.5
goes_on rmdir
: >src/go
wait "$hangs"; echo "rmdir $?"
rm mnt/quick/hang mnt/go
ls mnt/slow mnt/quick
umount mnt
ended
BODY
) || die "$got"
assert_eq 'what went on' 'second 124
hung 0
again 0
file
hang
second
still
rmdir 0
mnt/quick:
file
sub

mnt/slow:
file
second
still
server 0' "$got"

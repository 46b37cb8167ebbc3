#!/bin/bash
# What can be asked for but makes no sense is refused: one line with the option and why.
. "$(dirname "$0")/../support/lib.sh"
needs_view
mkdir "$W/dir"
echo text >"$W/file"
cd "$W" || exit 1
refused 125 '--cow /proc: .*proc.*own' "$VIEWSH" run --cow /proc -- true
refused 125 '--cow /sys: .*own' "$VIEWSH" run --cow /sys -- true
refused 125 '--cow .*none.*no such file' "$VIEWSH" run --cow "$W/none" -- true
refused 125 '--cow .*file: not a directory$' "$VIEWSH" run --cow "$W/file" -- true
refused 125 '--bind .*not a directory' "$VIEWSH" run --bind "$W/dir:$W/file" -- true
refused 125 '--bind .*not a directory' "$VIEWSH" run --bind "$W/file:$W/dir" -- true
refused 125 '--tmpfs .*not a directory' "$VIEWSH" run --tmpfs "$W/file" -- true
refused 125 '--merge .*not a directory' "$VIEWSH" run --merge "$W/dir:/etc:$W/file" -- true
refused 125 '--hide .*none.*no such file' "$VIEWSH" run --hide "$W/none" -- true
refused 125 "--hide .*none.*no such file" sh -c "'$VIEWSH' show --hide '$W/none' >/dev/null"
# A profile is for many machines: what isn't there is hidden already, and can't be made.
printf 'viewsh: 1\nmounts:\n  - {type: hide, at: none}\n' >p.yaml
"$VIEWSH" run -p p.yaml -- sh -c 'mkdir none 2>err; test ! -e none' || die "a hide of nothing in a profile"
assert_contains "refused" "$(cat err)" 'Permission denied'
printf 'viewsh: 1\nmounts:\n  - {type: bind, at: file, source: dir}\n' >p.yaml
refused 125 'p\.yaml:3:[0-9]+.*not a directory' "$VIEWSH" run -p p.yaml -- true
# What the kernel's own file systems lie below is fine, and so is a mount over them.
"$VIEWSH" run --cow / --tmpfs /sys -- true || die "over /sys"
# A name that was hidden may not be made anew.
for command in 'mkdir dir' 'touch dir' 'ln -s x dir' 'mkfifo dir' 'mv file dir' 'ln file dir' 'echo x >dir'; do
  if "$VIEWSH" run --hide "$W/dir" -- sh -c "$command" 2>err; then die "made: $command"; fi
  assert_contains "$command" "$(cat err)" 'Permission denied|cross-device'
done
assert_contains "below it" "$("$VIEWSH" run --hide "$W/dir" -- mkdir dir/x 2>&1)" 'No such file'
[ -d dir ] && [ -f file ] || die "the real ones were changed"

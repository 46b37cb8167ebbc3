#!/bin/bash
# An empty profile changes nothing and costs no stop: `viewsh: trapped calls: 0` for any command.
. "$(dirname "$0")/../support/lib.sh"
needs_view
echo 'viewsh: 1' >"$T/empty.yaml"
echo text >"$W/f"
cd "$W" || exit 1
for command in 'true' 'cat f' 'ls -lR /etc >/dev/null 2>&1; true' 'echo x >g; mv g h; rm h' \
  'for i in 1 2 3; do (echo $i | cat); done' 'find /usr/share/doc -maxdepth 1 | sort | wc -l' \
  'cd /; pwd; readlink /proc/self/cwd'; do
  expected=$(bash -c "$command")
  got=$("$VIEWSH" run -p "$T/empty.yaml" --stats -- bash -c "$command" 2>"$T/err")
  assert_eq "$command" "$expected" "$got"
  assert_eq "stop count of $command" 'viewsh: trapped calls: 0' "$(head -1 "$T/err")"
done
"$VIEWSH" run --stats -- true 2>"$T/err" || die "without a profile"
assert_eq "without any option" 'viewsh: trapped calls: 0' "$(head -1 "$T/err")"

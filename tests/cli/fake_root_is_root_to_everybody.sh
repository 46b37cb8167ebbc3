#!/bin/bash
# With --fake-root every process of the view is root to itself: by every call, in the auxiliary vector, in
# /proc, in threads, children and static programs, with or without other mounts. Other identities likewise.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
root='uid 0 0 0 0 0 0 gid 0 0 0 0 0 0 groups 0'
expected="process: $root
auxv: 0 0 0 0 secure 0
thread: $root
handler: $root
child: $root
vforked: 0
faults: -14 -22 -14"
for options in "" "--cow /" "--hide $W/home"; do
  for program in ids ids_static; do
    # shellcheck disable=SC2086
    assert_eq "$program $options" "$expected" "$("$VIEWSH" run --fake-root $options -- "$P/$program" all)"
    # shellcheck disable=SC2086
    assert_eq "executed by another: $program $options" "$expected" "$("$VIEWSH" run --fake-root $options -- sh -c "'$P/$program' all; true")"
  done
done
other='uid 1234 1234 1234 1234 1234 1234 gid 56 56 56 56 56 56 groups 7 4294967294'
cat >other.yaml <<'YAML'
viewsh: 1
identity: {uid: 1234, gid: 56, groups: [4294967294, 7]}
YAML
assert_contains other "$("$VIEWSH" run -p ./other.yaml -- "$P/ids_static" all)" "^process: $other\$"
assert_contains 'the largest' "$("$VIEWSH" run --uid 4294967294 -- "$P/ids" all)" '^auxv: 4294967294 4294967294'
assert_eq 'uid alone' "9 $(id -g) $(id -G)" "$("$VIEWSH" run --uid 9 -- sh -c 'echo $(id -u) $(id -g) $(id -G)')"

assert_eq id 'uid=0(root) gid=0(root) groups=0(root)' "$("$VIEWSH" run --fake-root -- id)"
assert_eq whoami root "$("$VIEWSH" run --fake-root -- whoami)"
assert_eq bash '0 0 #' "$("$VIEWSH" run --fake-root -- bash -c 'p="\\$"; echo $UID $EUID "${p@P}"')"
assert_eq 'a script that asks' yes "$("$VIEWSH" run --fake-root -- sh -c '[ $(id -u) = 0 ] && echo yes')"

status='Uid: 0 0 0 0 Gid: 0 0 0 0 Groups: 0'
got=$("$VIEWSH" run --fake-root -- sh -c 'grep -E "^(Uid|Gid|Groups)" /proc/self/status; sleep 9 & grep -E "^(Uid|Gid|Groups)" /proc/$!/status /proc/$!/task/$!/status; kill $!')
assert_eq 'status' "$status $status $status" "$(sed 's/^.*status://' <<<"$got" | xargs)"
assert_eq 'whose /proc/self is' '0:0' "$("$VIEWSH" run --fake-root -- stat -L -c %u:%g /proc/self)"
assert_eq 'the file of the vector' '11: 0 12: 0 13: 0 14: 0' \
  "$("$VIEWSH" run --fake-root -- od -A n -t u8 -w16 /proc/self/auxv | awk '$1 >= 11 && $1 <= 14 {print $1 ": " $2}' | sort | xargs)"

cat >expected <<'OUT'
setuid to the same: ok
setgid to the same: ok
setreuid to the same: ok
setregid to the same: ok
setresuid of nothing: ok
setresgid of nothing: ok
setgroups to the same: ok
setuid to none: EINVAL
setgroups of too many: EINVAL
setgroups of nowhere: EFAULT
setuid to another: EPERM
setresuid to another: EPERM
setgid to another: EPERM
setgroups to others: EPERM
setfsuid to another: was 1, is 1
OUT
"$VIEWSH" run --fake-root -- "$P/ids" set | diff expected - || die 'set*id of root'
# Who isn't root hears what natively everybody hears.
"$VIEWSH" run --uid 1234 --gid 56 -- "$P/ids" set >got
"$P/ids" set | diff - got || die 'set*id of another user'

# Not a call more is stopped where nobody asked for it.
out=$("$VIEWSH" run --stats --cow / -- "$P/ids" all 2>&1)
assert_lacks 'without an identity' "$out" '^ *(get|set)(res|fs|e)?(uid|gid)'

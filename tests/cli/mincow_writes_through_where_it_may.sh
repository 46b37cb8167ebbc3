#!/bin/bash
# A mincow changes really what the user may change, and copies only what would be refused.
# shellcheck disable=SC2016
. "$(dirname "$0")/../support/lib.sh"
needs_view
words() { "$@" | xargs; }
cd "$W" || exit 1
mkdir open shut shut/sub open/moves
echo a >open/f
echo ro >open/ro
echo w >shut/w
echo f >shut/f
echo x >shut/sub/x
echo m >open/moves/m
chmod 444 open/ro shut/f
chmod 555 shut shut/sub
before=$(tail -1 /etc/passwd)
min() { "$VIEWSH" run --mincow / --layer m -- bash -euc "$@"; }

# What may be done is done, really and without a copy.
min 'echo b >>open/f; echo n >open/new; mkdir open/d; mv open/new open/d/n; ln open/f open/g
     ln -s f open/l; echo more >>shut/w; chmod 600 open/d/n; touch -d @1000 open/l -h; rm open/g
     truncate -s 1 open/d/n; mkfifo open/p; chmod 750 open/d; rm open/p; touch -d @5000 open' ||
  die "what may be done"
assert_eq "appended" "a b" "$(words cat open/f)"
assert_eq "made" "n" "$(cat open/d/n)"
assert_eq "modes" "600 750" "$(words stat -c %a open/d/n open/d)"
assert_eq "time of a directory" 5000 "$(stat -c %Y open)"
assert_eq "link" "f 1000" "$(readlink open/l) $(stat -c %Y open/l)"
assert_eq "unwritable directory, writable file" "w more" "$(words cat shut/w)"
[ ! -e open/g ] || die "not removed"
assert_eq "no copies" "" "$("$VIEWSH" diff m)"

# What is refused natively is done in the layer.
sums() { (cd "$W" && find open shut -type f -print0 | sort -z | xargs -0 cksum) && ls -lR --time-style=+%s "$W/shut"; }
really=$(sums)
min 'echo mine >>/etc/passwd; echo over >open/ro; echo n >shut/new; mkdir shut/d; rm shut/w
     touch -d @2000 /etc/group; chmod 777 /etc/group; chown 0:0 open/ro; mv shut/f shut/f2
     mv open/moves shut/moves; echo again >>shut/moves/m; rm shut/sub/x; rmdir shut/sub
     printf %s $(tail -n 1 /etc/passwd)' >out || die "what is refused"
assert_eq "in the view" "mine" "$(cat out)"
assert_eq "/etc/passwd" "$before" "$(tail -1 /etc/passwd)"
assert_eq "the real files" "$really" "$(sums)"
assert_eq "moved in the view, there really" "m" "$(cat open/moves/m)"

# The layer goes on, and what it has wins.
min 'echo again >>/etc/passwd; [ $(tail -n 2 /etc/passwd | head -n 1) = mine ]
     [ "$(stat -c "%a %Y" /etc/group)" = "777 2000" ]; [ "$(stat -c "%u %g %a" open/ro)" = "0 0 444" ]
     echo 2 >>open/ro; [ "$(cat open/ro | tr "\n" " ")" = "over 2 " ]; [ ! -e shut/w ]; [ ! -e open/moves ]
     [ "$(cat shut/moves/m | tr "\n" " ")" = "m again " ]; echo w2 >shut/w; [ ! -e shut/sub ]
     echo really >shut/moves/../../open/real; [ -d shut/d ]; rmdir shut/d; ls shut' >out || die "afterwards"
assert_eq "listing" "f2 moves new w" "$(words cat out)"
assert_eq "written through" "really" "$(cat open/real)"
assert_eq "/etc/passwd still" "$before" "$(tail -1 /etc/passwd)"
[ "$(head -1 shut/w)" = w ] || die "shut/w was written"

diff=$("$VIEWSH" diff m)
assert_contains "diff" "$diff" '^M /etc/passwd'
assert_contains "diff" "$diff" "^A $W/shut/new"
assert_contains "diff" "$diff" "^M $W/open/ro"
assert_lacks "diff" "$diff" 'open/(f|d|l|real)'

# Below a directory that the layer has, the rest is still real; its attributes follow.
mkdir both && echo 1 >both/ro && chmod 444 both/ro
min 'echo 2 >both/ro; echo x >both/new; chmod 711 both; touch both/late
     [ "$(stat -c %a both)" = 711 ]; [ "$(ls both | tr "\n" " ")" = "late new ro " ]' || die "both"
assert_eq "both" "1 x 711" "$(cat both/ro) $(cat both/new) $(stat -c %a both)"
min '[ "$(stat -c %a both)" = 711 ] && [ $(cat both/ro) = 2 ] && rm both/new both/ro' || die "both later"
assert_eq "both, removed" "late ro" "$(words ls both)"

# Named in a profile, shown and resolved.
cat >p.yaml <<Y
viewsh: 1
mounts:
  - {type: mincow, at: /, layer: m}
Y
assert_contains "check" "$("$VIEWSH" check p.yaml)" ok
assert_contains "show" "$("$VIEWSH" show -p p.yaml)" 'mincow +layer m'
assert_eq "resolve" "mincow m" \
  "$("$VIEWSH" resolve --json -p p.yaml /etc/passwd | sed -n 's/.*"\(type\|layer\)": "\(.*\)".*/\2/p' | sort -r | xargs)"
assert_contains "/proc/mounts" "$(min 'cat /proc/mounts')" '^mincow / mincow '

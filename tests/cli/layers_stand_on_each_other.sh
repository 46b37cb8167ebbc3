#!/bin/bash
# Stacked layers: the last one takes the changes, those below it are only read.
# shellcheck disable=SC2016
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir -p d/dir d/gone
echo 1 >d/f
echo 1 >d/g
echo 1 >d/h1
ln d/h1 d/h2
echo x >d/dir/x
echo x >d/gone/x
exact=$(snapshot --exact "$W/d")
base() { "$VIEWSH" run --cow / --layer base -- bash -euc "$@"; }
work() { "$VIEWSH" run --cow / --layer base --layer work -- bash -euc "$@"; }
base 'cd d; echo 2 >f; rm g; mv dir moved; echo n >new; rm -r gone; echo 2 >h1; chmod 700 moved' || die base
state() { (cd "$("$VIEWSH" layers --json base | sed -n 's/.*"path": "\(.*\)".*/\1/p')" && ls -lR --time-style=full-iso upper links && cksum log); }
was=$(state)
# The same as if the lower had the changes of the base.
assert_eq "through both" "f h1 h2 moved new 2 2 2 x 700 2" \
  "$(work 'cd d; echo $(ls) $(cat f h1 h2 moved/x) $(stat -c "%a" moved) $(stat -c %h h2)')"
work 'cd d; echo 3 >f; echo 3 >h2; [ $(cat h1) = 3 ]; echo g >g; mv moved again; rm new; echo y >>again/x; mkdir gone; [ -z "$(ls gone)" ]' ||
  die work
assert_eq "the base is only read" "$was" "$(state)"
assert_eq "the real files" "$exact" "$(snapshot --exact "$W/d")"
assert_eq "afterwards" "again f g gone h1 h2 3 g 3 3 x y" "$(work 'cd d; echo $(ls) $(cat f g h1 h2 again/x)')"
assert_eq "the base alone" "2 2" "$(base 'echo $(cat d/f d/h2)')"

diff=$("$VIEWSH" diff work)
assert_contains "diff" "$diff" "^R $W/d/moved/ -> $W/d/again/"
assert_contains "diff" "$diff" "^A $W/d/g"
assert_contains "diff" "$diff" "^D $W/d/new"
assert_contains "diff" "$diff" "^M $W/d/f"
patch=$("$VIEWSH" diff --patch work "$W/d/f")
assert_contains "patch against the base" "$patch" '^-2'
refused 125 'layer work: it stands on the layer base.*can.t be committed; viewsh export work' "$VIEWSH" commit work
refused 125 'layer base: the layer work stands on it' "$VIEWSH" discard base
refused 125 'layer base: the layer work stands on it' "$VIEWSH" commit base
assert_contains "layers" "$("$VIEWSH" layers)" 'work +/ over base'

# A layer is used on what it was made to stand on, and on nothing else.
refused 125 'layer work: it was made to stand on the layer base: use it as --layer base --layer work' \
  "$VIEWSH" run --cow / --layer work -- true
refused 125 'layer work: it was made to stand on the layer base' \
  "$VIEWSH" run --cow / --layer work --layer base -- true
"$VIEWSH" run --cow / --layer alone -- true
refused 125 'layer alone: it was made to stand on no other layer: use it as --layer alone' \
  "$VIEWSH" run --cow / --layer base --layer alone -- true
refused 125 'layer none: there is no such layer' "$VIEWSH" run --cow / --layer none --layer w2 -- true
refused 125 'the layer base is there twice' "$VIEWSH" run --cow / --layer base --layer base -- true
[ ! -e "$HOME/.local/state/viewsh/layers/w2" ] || die "w2 was made"

# Several views read one base at once; nobody writes it meanwhile.
mkfifo hold go
"$VIEWSH" run --cow / --layer base --layer one -- sh -c 'echo >go; cat hold' &
read -r _ <go
assert_eq "a second view" 2 "$("$VIEWSH" run --cow / --layer base --layer two -- cat d/f)"
assert_contains "in use" "$("$VIEWSH" layers base)" 'base .* [^ -]+ *$'
refused 125 'layer base: in use by view' "$VIEWSH" run --cow / --layer base -- true
echo >hold
wait $! || die "the first view"
mkfifo go2
"$VIEWSH" run --cow / --layer base -- sh -c 'echo >go2; cat hold' &
read -r _ <go2
refused 125 'layer base: in use by view' "$VIEWSH" run --cow / --layer base --layer one -- true
echo >hold
wait $! || die "the writer"

# In a profile; a mincow; three of them.
cat >p.yaml <<Y
viewsh: 1
mounts:
  - type: cow
    at: /
    layers: [base, work, top]
Y
"$VIEWSH" run -p p.yaml -- sh -c 'echo 4 >d/f; cat d/again/x d/h1 >d/all' || die "three layers"
assert_eq "three" "4 x y 3" "$("$VIEWSH" run -p p.yaml -- sh -c 'echo $(cat d/f d/all)')"
assert_contains "yaml" "$("$VIEWSH" show --json -p p.yaml | tr -d ' \n')" '"layers":\["base","work","top"\]'
assert_contains "show" "$("$VIEWSH" show -p p.yaml)" 'layers base, work, top'
resolved=$("$VIEWSH" resolve -p p.yaml d/f d/g /etc/passwd)
assert_contains "resolve" "$resolved" "d/f +/ +cow +top .*/top/upper"
assert_contains "resolve" "$resolved" "d/g +/ +cow +work .*/work/upper"
sed -i 's/, top/, base/' p.yaml
refused 125 'p\.yaml:5:26: layers: the layer base is there twice' "$VIEWSH" check p.yaml
sed -i 's/layers: .*/layers: [base, a b]/' p.yaml
refused 125 'p\.yaml:5:20: layers: the name of a layer' "$VIEWSH" check p.yaml
for layer in top work; do "$VIEWSH" discard $layer >/dev/null || die "discard $layer"; done

echo ro >d/ro && chmod 444 d/ro
"$VIEWSH" run --mincow / --layer base --layer min -- sh -c 'echo 5 >d/f; echo real >d/real; echo 2 >d/ro' || die "mincow"
assert_eq "mincow: the base's stays, the real is written" "1 real ro" "$(cat d/f) $(cat d/real) $(cat d/ro)"
assert_eq "mincow: in the view" "5 real 2" \
  "$("$VIEWSH" run --mincow / --layer base --layer min -- sh -c 'echo $(cat d/f d/real d/ro)')"
for layer in one two min base; do "$VIEWSH" discard $layer >/dev/null || die "discard $layer"; done

#!/bin/bash
# except= leaves a part of a copy-on-write view real: written through, a border as between mounts.
# shellcheck disable=SC2016
. "$(dirname "$0")/../support/lib.sh"
needs_view
words() { "$@" | xargs; }
cd "$W" || exit 1
mkdir -p d/real/sub d/copied
echo 1 >d/real/f
echo 1 >d/copied/f
echo 1 >d/one
cow() { "$VIEWSH" run --cow "/:except=$W/d/real,except=${W#/}/d/one" --layer e -- bash -uc "$@"; }
cow 'echo 2 >d/real/f; echo 2 >d/copied/f; echo n >d/real/sub/n; echo 2 >d/one; rm d/copied/none 2>/dev/null
     rm -r d/real/sub/n; mkdir d/real/made' || die "run"
assert_eq "real" 2 "$(cat d/real/f)"
assert_eq "a file" 2 "$(cat d/one)"
assert_eq "copied" 1 "$(cat d/copied/f)"
[ -d d/real/made ] || die "mkdir was not real"

# A border: EXDEV across, EBUSY above.
cat >try.py <<'P'
import errno, os, sys
def fails(code, call, *args):
    try: call(*args)
    except OSError as e:
        if e.errno == code: return
        sys.exit(f"{call.__name__}{args}: {errno.errorcode[e.errno]}")
    sys.exit(f"{call.__name__}{args}: done")
fails(errno.EXDEV, os.rename, "d/real/f", "d/copied/g")
fails(errno.EXDEV, os.rename, "d/copied/f", "d/real/g")
fails(errno.EXDEV, os.link, "d/real/f", "d/copied/g")
fails(errno.EXDEV, os.link, "d/copied/f", "d/real/g")
fails(errno.EBUSY, os.rename, "d", "e")
fails(errno.EBUSY, os.rename, "d/real", "d/other")
fails(errno.EBUSY, os.rmdir, "d/real")
fails(errno.EBUSY, os.rmdir, "d")
fails(errno.EBUSY, os.unlink, "d/one")
P
need python3
cow 'exec python3 try.py' || die "the border"
diff=$("$VIEWSH" diff e)
assert_eq "diff" "M $W/d/copied/f" "$diff"

assert_contains "mounts" "$(cow 'cat /proc/self/mountinfo')" " $W/d/real .* bind "
assert_contains "mounts" "$(cow 'cat /proc/self/mountinfo')" " - cow cow .*except=$W/d/real"
resolved=$("$VIEWSH" resolve --cow "/:except=$W/d/real" --layer e d/real/f d/copied/f)
assert_contains "resolve" "$resolved" "$W/d/real/f +$W/d/real +bind +- +$W/d/real/f"
assert_contains "resolve" "$resolved" "$W/d/copied/f +/ +cow +e "
"$VIEWSH" commit e >/dev/null || die "commit"
assert_eq "committed" 2 "$(cat d/copied/f)"

# Profiles: shown again as they are, and mistakes told with their place.
cat >p.yaml <<Y
viewsh: 1
mounts:
  - type: cow
    at: $W
    options: [except=d/real]
Y
assert_contains "show" "$("$VIEWSH" show --yaml -p p.yaml)" "except=$W/d/real"
"$VIEWSH" show --yaml -p p.yaml >q.yaml || die "show"
"$VIEWSH" check q.yaml >/dev/null || die "what show prints"
"$VIEWSH" run -p p.yaml -- sh -c 'echo 3 >d/real/f; echo 3 >d/copied/f' || die "profile"
assert_eq "profile" "3 2" "$(cat d/real/f) $(cat d/copied/f)"
sed -i 's,d/real,d/none,' p.yaml
refused 125 'p\.yaml:5:15: .*except.*d/none: No such file' "$VIEWSH" check p.yaml
sed -i 's,d/none,/etc,' p.yaml
refused 125 'p\.yaml:5:15: options: except: /etc is not below' "$VIEWSH" check p.yaml
sed -i 's,=/etc,=.,' p.yaml
refused 125 'p\.yaml:5:15: options: except: .* is not below' "$VIEWSH" check p.yaml
sed -i 's,except=.,whatever,' p.yaml
refused 125 'p\.yaml:5:14: options: .whatever. is no option of cow' "$VIEWSH" check p.yaml
ln -s /usr d/out
refused 125 'd/out: leads to /usr, which is not below' "$VIEWSH" run --cow "$W:except=d/out" -- true
refused 125 -- "$VIEWSH" run --cow "$W:except=d/none" -- true

#!/bin/bash
# The options user and noauto of a profile's mounts: its programs may make and take away that mount,
# and no other.
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck debugfs mount umount
cd "$W" || exit 1
mkdir d e src
for image in img other; do
  truncate -s 8M $image
  mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" $image || die mkfs
done
cat >p.yaml <<YAML
viewsh: 1
mounts:
  - {type: hide, at: $W/secret}
  - {type: ext4, at: $W/d, source: $W/img, options: [user]}
  - {type: auto, at: $W/e, source: $W/other, options: [noauto, users, ro]}
  - {type: tmpfs, at: $W/new/t, options: [noauto, user, size=1m]}
  - {type: tmpfs, at: $W/kept}
YAML
mkdir secret
cat >"$T/body.sh" <<BODY
P=$P
BODY
cat >>"$T/body.sh" <<'BODY'
m() { "$P/mount_call" mount "$@"; }
u() { "$P/mount_call" umount "$@"; }
echo one >d/f
umount d && ls d && mount img d && cat d/f && echo two >>d/f
echo others; m "$PWD/other" d ext4 0 -; m "$PWD/img" src ext4 0 -; m none src tmpfs 0 -; m "$PWD" src - 4096 -
m "$PWD/d" src - 8192 -; m none d - $((32 | 1)) -; u kept 0; u secret 0
echo later; ls e; u e 0; mount other e; ls e; touch e/x 2>&1 | grep -o 'Read-only'; umount e
m none new/t tmpfs 0 size=64m; df --output=size -k new/t | tail -1 | tr -d ' '; u new/t 0; u new/t 0
cd d; u "$OLDPWD/d" 0; cd ..; umount -l d; ls d; mount img d; cat d/f
BODY
"$VIEWSH" run -p ./p.yaml -- bash "$T/body.sh" >"$T/out" 2>&1 || die "in the view: $(cat "$T/out")"
cat >"$T/expected" <<'OUT'
one
others
EPERM
EPERM
EPERM
EPERM
EPERM
EPERM
EPERM
ENOENT
later
EINVAL
lost+found
Read-only
ok
1024
ok
EINVAL
EBUSY
one
two
OUT
diff "$T/expected" "$T/out" || die "not as expected"
assert_eq "what was written" "one two" "$(debugfs -R 'cat f' img 2>/dev/null | tr '\n' ' ' | sed 's/ $//')"
e2fsck -fn img >/dev/null 2>&1 || die "img is damaged"
"$VIEWSH" show -p ./p.yaml --yaml >q.yaml && "$VIEWSH" check q.yaml >/dev/null || die "show --yaml, check"
assert_lacks show "$("$VIEWSH" show -p ./p.yaml)" '^allowed'
# What the profile put on it stays, so it can't be taken away below that.
cat >on.yaml <<YAML
viewsh: 1
mounts:
  - {type: ext4, at: $W/d, source: $W/img, options: [user]}
  - {type: hide, at: $W/d/f}
YAML
out=$("$VIEWSH" run -p ./on.yaml -- sh -c "'$P/mount_call' umount $W/d 2; '$P/mount_call' umount $W/d 0; ls d")
assert_eq 'what it has on it' "EINVAL EBUSY lost+found" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
refused 125 'noauto: nobody may mount it' "$VIEWSH" run --mount "ext4:img:$W/d:noauto" -- true
"$VIEWSH" run --allow mount --mount "ext4:img:$W/d:noauto" -- sh -c 'ls d; mount img d && cat d/f' >"$T/out" || die "noauto"
assert_eq "noauto with --allow" "one two" "$(tr '\n' ' ' <"$T/out" | sed 's/ $//')"
refused 125 'no option of bind' "$VIEWSH" run --bind "src:$W/d:user" -- true
refused 125 'begins and ends with the view' "$VIEWSH" run --mount "fuse.true:x:$W/d:user" -- true

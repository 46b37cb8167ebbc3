#!/bin/bash
# What mount-host can't do it says in one line: a wrong directory, a wrong profile, a layer in use,
# no /dev/fuse.
. "$(dirname "$0")/../support/lib.sh"
needs_view
[ -e "$(dirname "$VIEWSH")/../libexec/viewsh/host-mount.so" ] || skip "built without libfuse3"
cd "$W" || exit 1
mkdir full empty tree sealed
echo x >full/x
chmod 555 sealed
printf 'viewsh: 1\nname: p\nmounts:\n  - {type: tmpfs, at: /tmp/x}\n' >p.yaml
printf 'viewsh: 1\nname: bad\nmounts:\n  - {type: bind, at: /x, source: %s/none}\n' "$W" >bad.yaml
if ! [ -e /usr/local/libexec/viewsh/host-mount.so ]; then
  mkdir -p "$T/lone/bin"
  cp "$VIEWSH" "$T/lone/bin/viewsh"
  refused 125 'mount-host: this viewsh was built without libfuse3' "$T/lone/bin/viewsh" mount-host p.yaml empty
fi
refused 125 'needs PROFILE DIR' "$VIEWSH" mount-host p.yaml
refused 125 'one argument too many' "$VIEWSH" mount-host p.yaml empty x
refused 125 'mount-host: none: No such file' "$VIEWSH" mount-host p.yaml none
refused 125 'mount-host: p.yaml: Not a directory' "$VIEWSH" mount-host p.yaml p.yaml
refused 125 'mount-host: full: Directory not empty' "$VIEWSH" mount-host p.yaml full
refused 125 'mount-host: sealed: Permission denied' "$VIEWSH" mount-host p.yaml sealed
refused 125 'bad.yaml:4:.*none' "$VIEWSH" mount-host bad.yaml empty
refused 125 'nowhere' "$VIEWSH" mount-host nowhere empty
if ! [ -w /dev/fuse ]; then
  refused 125 'mount-host: /dev/fuse: (Permission denied|No such file)' "$VIEWSH" mount-host p.yaml empty
  refused 125 'mount-host: /dev/fuse: (Permission denied|No such file)' "$VIEWSH" mount-host -f p.yaml empty
fi
# In a view there is one.
printf 'viewsh: 1\nname: cow\nmounts:\n  - {type: cow, at: %s/tree, layer: t}\n' "$W" >cow.yaml
printf 'viewsh: 1\nname: self\nroot: %s/empty\n' "$W" >self.yaml
cat >"$T/body.sh" <<'BODY'
"$VIEWSH" mount-host cow.yaml empty || exit 1
mkdir other
"$VIEWSH" mount-host cow.yaml other 2>in_use && exit 2
"$VIEWSH" mount-host cow.yaml empty 2>taken && exit 3
fusermount3 -u empty || exit 4
"$VIEWSH" mount-host self.yaml empty 2>self && exit 5
exit 0
BODY
"$VIEWSH" run --allow mount --kill-on-exit -- bash "$T/body.sh" || die "in a view: $? $(cat in_use taken self 2>/dev/null)"
assert_contains "a layer in use" "$(cat in_use)" '^viewsh: .*cow.yaml:4:.*in use by view [0-9]+'
assert_contains "a directory in use" "$(cat taken)" '^viewsh: mount-host: empty: '
assert_contains "the view's own root" "$(cat self)" '^viewsh: mount-host: .*it is the root of the view'

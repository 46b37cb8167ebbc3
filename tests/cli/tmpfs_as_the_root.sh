#!/usr/bin/env bash
# A tmpfs at / is an empty root: what comes into it is bound from the view that it covers.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || die cd

mkdir src
echo one >src/file
echo two >src/other
ldd /bin/ls | grep -oE '/[^ ]+' >libs
{
  printf 'viewsh: 1\nmounts:\n  - {type: cow, at: /, layer: under}\n  - {type: tmpfs, at: /}\n'
  for f in /bin/sh /bin/ls /bin/cat $(cat libs); do
    printf '  - {type: bind, at: %s, source: %s, options: [ro]}\n' "$f" "$f"
  done
  echo '  - {type: bind, at: src, source: src}'
  echo '  - {type: bind, at: /opt/file, source: src/file, options: [ro]}'
  echo '  - {type: symlink, at: /opt/link, source: file}'
} >root.yaml
"$VIEWSH" check root.yaml >/dev/null || die check
out=$("$VIEWSH" run -p ./root.yaml -- sh -c 'ls /opt; cat /opt/link; echo three >src/file; cat /opt/file; pwd; ls /etc' 2>&1)
assert_contains 'the bound file' "$out" '^file$'
assert_contains 'by the link' "$out" '^one$'
assert_contains 'changed in the layer' "$out" '^three$'
assert_contains 'nothing else' "$out" "/etc.*No such file"
assert_contains 'the working directory' "$out" "^$W\$"
assert_eq 'the real file' one "$(cat src/file)"
assert_contains 'the layer below it' "$("$VIEWSH" diff under)" 'M .*src/file'
"$VIEWSH" show -p ./root.yaml --yaml >shown.yaml && "$VIEWSH" check shown.yaml >/dev/null || die "show --yaml"

bad() { # REGEX LINE...
  local regex=$1
  shift
  printf '%s\n' 'viewsh: 1' 'mounts:' "$@" >bad.yaml
  refused 125 "bad.yaml:[0-9:]+.*$regex" "$VIEWSH" check bad.yaml
}
bad 'has to lie in a tmpfs' '  - {type: symlink, at: /opt/viewsh-link, source: x}'
bad 'needs one source' '  - {type: symlink, at: /x}'
bad 'takes no options' '  - {type: symlink, at: /x, source: y, options: [ro]}'
bad 'File exists' '  - {type: tmpfs, at: /}' '  - {type: symlink, at: /x, source: y}' '  - {type: symlink, at: /x, source: z}'

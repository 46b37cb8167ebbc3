#!/bin/bash
# mount(2) is refused unless `allow` says otherwise; what the view began with stays.
. "$(dirname "$0")/../support/lib.sh"
needs_view
cd "$W" || exit 1
mkdir d e secret src && echo secret >secret/s && echo real >src/f
for options in "--hide $W/secret" "--cow /"; do
  # shellcheck disable=SC2086
  assert_eq "without --allow: $options" EPERM "$("$VIEWSH" run $options -- "$P/mount_call" mount none "$W/d" tmpfs 0 -)"
  # shellcheck disable=SC2086
  assert_eq "umount without --allow: $options" EPERM "$("$VIEWSH" run $options -- "$P/mount_call" umount "$W/d" 0)"
done
cat >p.yaml <<YAML
viewsh: 1
mounts:
  - {type: hide, at: $W/secret}
  - {type: bind, at: $W/e, source: $W/src, options: [ro]}
allow: [mount]
YAML
assert_contains show "$("$VIEWSH" show -p ./p.yaml)" 'allowed +mount'
assert_contains 'show --yaml' "$("$VIEWSH" show -p ./p.yaml --yaml)" '^allow:'
"$VIEWSH" show -p ./p.yaml --yaml >q.yaml
assert_eq 'show --yaml again' "$("$VIEWSH" show -p ./p.yaml --yaml | grep -v ^name)" "$("$VIEWSH" show -p ./q.yaml --yaml | grep -v ^name)"
cat >"$T/body.sh" <<BODY
P=$P
BODY
cat >>"$T/body.sh" <<'BODY'
m() { "$P/mount_call" mount "$@"; }
u() { "$P/mount_call" umount "$@"; }
u e 0; u e 2; u secret 0; m e d - 8192 -; m none e - $((4096 | 32)) -; m none e - 32 -
m "$PWD" d - 4096 -; m "$PWD" d - $((4096 | 16384)) -; ls d; ls d/secret 2>&1 | grep -c 'No such'; u d/e 0; (echo x >d/e/f) 2>&1 | grep -o Read-only; u d 2; ls d
m none / tmpfs 0 -; m none d tmpfs 0 -; u /proc 0
m none src tmpfs 0 -; ls src; cat e/f; u src 0
ls -d {"${XDG_RUNTIME_DIR:-/dev/shm}",/dev/shm}/viewsh-*-"$PPID"-* 2>/dev/null; ls -A "${XDG_STATE_HOME:-$HOME/.local/state}/viewsh" 2>/dev/null
BODY
out=$("$VIEWSH" run -p ./p.yaml -- bash "$T/body.sh") || die "$out"
assert_eq 'what is locked' "EINVAL EINVAL ENOENT EINVAL EPERM EPERM EINVAL ok d e home p.yaml q.yaml src tmp 1 EINVAL Read-only ok EBUSY ok EINVAL ok real ok" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
refused 125 'allow' "$VIEWSH" run --allow everything -- true
printf 'viewsh: 1\nallow: [chroot]\n' >bad.yaml
refused 125 'bad.yaml:2:9: allow' "$VIEWSH" check bad.yaml

#!/bin/bash
# Mounts of a profile that a FUSE server serves: in their order, what goes wrong with the server, and
# its end with the view.
. "$(dirname "$0")/../support/lib.sh"
need bindfs
. "$support/fuse_programs.sh"
mkdir src && cp -a tree src/t
profile() { { printf 'viewsh: 1\nmounts:\n' && cat; } >"$T/p.yaml"; }

# Later ones stand on it: a copy-on-write, a bind out of it; and at a place that isn't there.
profile <<YAML
  - {type: fuse.bindfs, at: $W/nowhere/at, source: $W/src}
  - {type: cow, at: $W/nowhere/at}
  - {type: bind, at: $W/mnt, source: $W/nowhere/at/t}
YAML
out=$("$VIEWSH" run -p "$T/p.yaml" -- bash -c "diff -r --no-dereference tree mnt && echo new >nowhere/at/t/a && cat nowhere/at/t/a") ||
  die "in order: $out"
assert_eq 'in the copy' new "$out"
diff -r --no-dereference tree src/t || die "what is below"
[ -z "$(servers bindfs)" ] || die "a server goes on"

# By option; the command's exit status; a server that isn't there, one that says no, one that
# ends, one that mounts nothing for itself.
assert_status 7 "$VIEWSH" run --mount "fuse.bindfs:$W/src:$W/mnt" -- sh -c 'cat mnt/t/a >/dev/null && exit 7'
refused 125 'fuse.nosuch at .*: there is no program nosuch' "$VIEWSH" run --mount "fuse.nosuch:x:$W/mnt" -- true
profile <<YAML
  - {type: fuse.nosuch, at: $W/mnt, source: x}
YAML
refused 125 'p.yaml:3:5: fuse.nosuch at .*: there is no program nosuch' "$VIEWSH" run -p "$T/p.yaml" -- true
status=0
"$VIEWSH" run --mount "fuse.bindfs:$W/none:$W/mnt" -- true >"$T/out" 2>"$T/err" || status=$?
assert_eq 'a wrong source' 125 "$status"
assert_contains 'what the server said' "$(cat "$T/err")" 'none'
assert_contains 'and what became of it' "$(cat "$T/err")" '^viewsh: .*fuse.bindfs at .*: bindfs ended with exit status 1'
export PATH=$PATH:$W/bin
mkdir bin
printf '#!/bin/sh\nkill -KILL $$\n' >bin/fskilled
printf '#!/bin/sh\nexit 0\n' >bin/fsnothing
chmod 755 bin/*
refused 125 'fskilled was ended by signal 9' "$VIEWSH" run --mount "fuse.fskilled:x:$W/mnt" -- true
refused 125 'fsnothing ended with exit status 0 and mounted nothing' "$VIEWSH" run --mount "fuse.fsnothing:x:$W/mnt" -- true

# It sees its own mount as others do, and both see what the other one does there.
printf '#!/bin/sh\nbindfs "$@" || exit\ncd "$2" || exit\ngrep -q " $2 fuse " /proc/mounts || exit\ncat t/a >seen && mkdir made && mv seen made/ && until [ -e go ]; do sleep 0.1; done\nrm go && cat more >made/seen.more && ls made >all\n' >bin/fsself && chmod 755 bin/fsself
cat >"$T/self.sh" <<'BODY'
for _ in $(seq 200); do [ -e mnt/made/seen ] && break; sleep 0.05; done
cmp mnt/made/seen tree/a || exit 1
echo from the view >mnt/more && : >mnt/go
for _ in $(seq 200); do [ -s mnt/all ] && break; sleep 0.05; done
cat mnt/all mnt/made/seen.more
BODY
# At the end it is told that its mount is gone, which is no error.
got=$("$VIEWSH" run --mount "fuse.fsself:$W/src:$W/mnt" -- bash "$T/self.sh" 2>"$T/err") || die "looks at itself: $got $(cat "$T/err")"
assert_eq 'what the server did on its own mount' $'seen\nseen.more\nfrom the view' "$got"
assert_eq 'what it said' '' "$(cat "$T/err")"
rm -r src/made src/all src/more
[ -z "$(servers bindfs)" ] || die "one that looked at itself goes on"

# In the foreground; the view is killed.
printf '#!/bin/sh\nexec bindfs -f "$@"\n' >bin/fsfront && chmod 755 bin/fsfront
assert_status 0 "$VIEWSH" run --mount "fuse.fsfront:$W/src:$W/mnt" -- test -f mnt/t/a
[ -z "$(servers bindfs)" ] || die "one in the foreground goes on"
"$VIEWSH" run --mount "fuse.bindfs:$W/src:$W/mnt" -- sh -c 'echo ready >src/ready; sleep 100' &
wait_for 20 test -f src/ready
kill -KILL $!
wait $! 2>/dev/null
no_server() { [ -z "$(servers bindfs)" ]; }
wait_for 15 no_server

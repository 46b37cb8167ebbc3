#!/bin/bash
# kill.sh --workload untar|git-gc|npm|commit|snapshot [--rounds N] [--seed S]: kill -9 of viewsh, now
# and then of its whole process group, at a random moment of the workload. Afterwards: no process is
# left, the lower tree is bit for bit what it was, the layer verifies, its diff can be told, and it
# can be used. A killed commit is resumed or taken back; a killed snapshot or restore was made or not.
LIMIT=${CRASH_LIMIT:-110}
. "$(dirname "$0")/../support/lib.sh"
needs_view
workload='' rounds=8 seed=$$
while [ $# -gt 0 ]; do
  case $1 in
    --workload) workload=$2 ;;
    --rounds) rounds=$2 ;;
    --seed) seed=$2 ;;
    *) die "kill.sh: $1" ;;
  esac
  shift 2
done
RANDOM=$((seed % 32768))
layers=$XDG_STATE_HOME/viewsh/layers
lower=$W/d
mkdir "$lower"
declare -A told=()

in_view() { "$VIEWSH" run --cow "$lower" --layer k -- "$@"; }
# Names, types, modes, sizes, times, link counts and contents of a tree; `--data`: of directories no
# times, and of files those since 2020 neither.
digest() {
  local times='%T@'
  [ "$1" != --data ] || { times='%Ad' && shift; }
  if [ "$times" = %T@ ]; then
    (cd "$1" && find . -printf '%p %y %m %n %s %T@ %l\n' | LC_ALL=C sort)
  else
    (cd "$1" && { find . -type d -printf '%p %y %m %n\n'; find . ! -type d \
      -printf '%p %y %m %n %s %Ts %l\n'; } | LC_ALL=C sort)
  fi
  (cd "$1" && find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
nothing_left() {
  local pid
  for pid in $(grep -lzxF "CRASHED=$T" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3); do
    grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null || return 1
  done
}
# killed VIEWSH-ARGUMENT...: kills it at a random moment of the time that the workload takes.
killed() {
  local pid to at
  CRASHED=$T setsid "$VIEWSH" "$@" >"$T/out" 2>"$T/err" </dev/null &
  pid=$!
  at=$((duration * 1000 * (RANDOM * 32768 + RANDOM) / 1073741824))
  sleep "$(printf '%d.%06d' $((at / 1000000)) $((at % 1000000)))"
  to=$pid
  if [ $((RANDOM % 4)) = 0 ]; then to=-$pid; fi
  # What else the machine does changes: the time is followed, so that most kills come in between.
  if kill -KILL -- "$to" 2>/dev/null; then
    how=killed
    duration=$((duration + duration / 50 + 1))
  else
    how=late
    duration=$((duration * 9 / 10))
  fi
  wait "$pid" 2>/dev/null
  told[$how]=$((${told[$how]-0} + 1))
  wait_for 20 nothing_left
}
# measured COMMAND...: how long it takes unkilled, in $duration.
measured() {
  local from
  from=$(milliseconds)
  "$@" >"$T/out" 2>&1 </dev/null || die "unkilled: $* [$(tail -3 "$T/out")]"
  duration=$((($(milliseconds) - from) * 21 / 20 + 1))
}
untouched() {
  digest "$lower" >"$T/after"
  diff "$T/before" "$T/after" >"$T/changed" || die "round $i: the lower changed: $(head "$T/changed")"
}
verified() {
  local said
  said=$("$VIEWSH" layers --verify k 2>&1) || die "round $i: verify: $said"
  [ "$said" = "k: good" ] || die "round $i: verify: $said"
  "$VIEWSH" diff k >/dev/null || die "round $i: diff"
}
usable() {
  in_view find "$lower" -type f -exec cat {} + >/dev/null || die "round $i: files can't be read"
}
drop() { [ ! -e "$layers/k" ] || "$VIEWSH" discard k >/dev/null || die "round $i: discard"; }
# A round of a workload that only writes into the view.
write_round() { # CHECK COMMAND...
  local check=$1
  shift
  killed run --cow "$lower" --layer k -- "$@"
  untouched
  if [ -e "$layers/k/layer" ]; then verified; else told[early]=$((${told[early]-0} + 1)); fi
  usable
  "$check"
  # What was cut short can be done again, on top of what is there.
  if [ $((i % 50)) = 1 ]; then in_view "$@" >"$T/out" 2>&1 || die "round $i: again: $(tail -3 "$T/out")"; fi
  drop
}
prepared() { # WORKLOAD-COMMAND...: measures it
  digest "$lower" >"$T/before"
  measured in_view "$@"
  drop
}

untar_setup() {
  local n
  mkdir "$T/good"
  for n in $(seq 300); do
    mkdir -p "$T/good/d$((n % 20))"
    head -c $((n * 37 % 9000)) /dev/urandom >"$T/good/d$((n % 20))/f$n"
  done
  # Half of the names are the lower's already.
  cp -a "$T/good/." "$lower"
  rm -r "$lower"/d1? "$lower"/d?/f1*
  tar -C "$T/good" -cf "$T/archive.tar" .
  prepared tar -C "$lower" -xf "$T/archive.tar"
}
untar_check() {
  local bad
  # shellcheck disable=SC2016 # for perl
  bad=$(in_view perl -e 'use strict; my ($root, $good, $lower) = @ARGV;
    for my $f (glob "$good/*/*") { my $n = substr $f, length $good;
      my ($a, $b) = map { my $h; local $/; open($h, "<", $_) ? <$h> // "" : undef } "$root$n", $f;
      next if !defined $a; print "$n has wrong content\n" if $a ne substr($b, 0, length $a); }' \
    "$lower" "$T/good") || die "round $i: the check of the contents"
  [ -z "$bad" ] || die "round $i: $bad"
}
untar_round() { write_round untar_check tar -C "$lower" -xf "$T/archive.tar"; }

git_gc_setup() {
  need git
  git -C "$lower" init -q
  perl -e 'for my $i (1 .. 200) { my $t = 1577836800 + $i; my $d = "content $i\n" x ($i % 9 + 1);
    my $m = "commit $i"; print "commit refs/heads/master\ncommitter T <t\@example.org> $t +0000\n",
      "data ", length $m, "\n$m\nM 100644 inline f", $i % 10, "\ndata ", length $d, "\n$d\n"; }' |
    git -C "$lower" fast-import --quiet || die "fast-import"
  git -C "$lower" reset -q --hard
  mv "$lower"/.git/objects/pack "$T/pack"
  mkdir "$lower/.git/objects/pack"
  cat "$T"/pack/*.pack | git -C "$lower" unpack-objects -q || die "unpack-objects"
  assert_eq "commits" 200 "$(git -C "$lower" rev-list --count HEAD)"
  prepared git -C "$lower" -c gc.autoDetach=false gc -q --force --prune=now
}
git_gc_check() {
  in_view git -C "$lower" fsck --full --strict >"$T/fsck" 2>&1 || die "round $i: $(cat "$T/fsck")"
  assert_eq "round $i: commits" 200 "$(in_view git -C "$lower" rev-list --count HEAD)"
}
git_gc_round() { write_round git_gc_check git -C "$lower" -c gc.autoDetach=false gc -q --force --prune=now; }

npm_setup() {
  local n
  need npm node
  mkdir -p "$T/pkg/lib" "$lower/node_modules/old"
  echo '{"name": "part", "version": "1.0.0", "bin": {"part": "lib/m1.js"}}' >"$T/pkg/package.json"
  for n in $(seq 40); do echo "#!/usr/bin/env node
module.exports = $n; // $(head -c 300 /dev/urandom | base64 -w 0)" >"$T/pkg/lib/m$n.js"; done
  echo '{"name": "whole", "version": "1.0.0"}' >"$lower/package.json"
  cp "$lower/package.json" "$lower/package.json.whole"
  echo old >"$lower/node_modules/old/file"
  (cd "$T" && npm pack --silent ./pkg) >/dev/null || skip "npm can't pack a package here"
  prepared npm --prefix "$lower" install --offline --no-audit --no-fund "$T/part-1.0.0.tgz"
}
npm_check() {
  local f
  [ ! -e "$lower/node_modules/part" ] || die "round $i: npm wrote into the lower"
  # Whatever is there of the package under its own name is whole: npm renames it into place.
  f=$(in_view cat "$lower/package.json") || die "round $i: package.json"
  # npm writes into the file itself, which is empty for a moment, and npm wants no such file then.
  if [ -n "$f" ]; then
    assert_contains "round $i: package.json" "$f" '"whole"'
  else
    in_view cp "$lower/package.json.whole" "$lower/package.json" || die "round $i: package.json again"
  fi
}
npm_round() {
  write_round npm_check npm --prefix "$lower" install --offline --no-audit --no-fund \
    "$T/part-1.0.0.tgz"
}

# shellcheck disable=SC2016 # for the shell in the view
commit_change='cd "$1" && for f in a/f?; do echo more >>$f; done && rm a/f1? && mv b e && mkdir n &&
  for i in $(seq 20); do echo $i >n/$i; done && ln n/1 n/one && ln -s f1 a/link && chmod 700 c &&
  echo in place >c/h1 && mv a/f20 c/moved && find . ! -type d -exec touch -h -d @1500000000 {} +'
commit_before() { # the lower and the changes in a layer over it
  rm -rf "$lower"
  cp -a "$T/input" "$lower"
  in_view sh -c "$commit_change" sh "$lower" || die "round $i: the changes"
}
commit_setup() {
  local n i=0
  mkdir -p "$T/input/a" "$T/input/b/deep" "$T/input/c"
  for n in $(seq 40); do
    echo "$n" >"$T/input/a/f$n"
    echo "$n" >"$T/input/b/deep/g$n"
  done
  echo h >"$T/input/c/h1"
  ln "$T/input/c/h1" "$T/input/c/h2"
  find "$T/input" -exec touch -d @1400000000 {} +
  commit_before
  measured "$VIEWSH" commit k
  digest --data "$lower" >"$T/committed"
  (rm -rf "$T/native" && cp -a "$T/input" "$T/native" && sh -c "$commit_change" sh "$T/native")
  digest --data "$T/native" | diff - "$T/committed" >"$T/changed" ||
    die "an unkilled commit isn't the change: $(head "$T/changed")"
}
commit_is() { # FILE WHAT
  digest --data "$lower" | diff "$1" - >"$T/changed" || die "round $i: $2: $(head "$T/changed")"
}
commit_round() {
  commit_before
  digest "$lower" >"$T/before"
  killed commit k
  if "$VIEWSH" layers | grep -q '^k .*cut short'; then
    if [ $((i % 2)) = 0 ]; then
      "$VIEWSH" commit --resume k >"$T/out" 2>&1 || die "round $i: resume: $(cat "$T/out")"
      told[resumed]=$((${told[resumed]-0} + 1))
    elif "$VIEWSH" commit --undo k >"$T/out" 2>&1; then
      untouched
      told[undone]=$((${told[undone]-0} + 1))
      verified
      "$VIEWSH" commit k >"$T/out" 2>&1 || die "round $i: after undo: $(cat "$T/out")"
    else
      grep -q 'commit --resume k cleans up' "$T/out" || die "round $i: undo: $(cat "$T/out")"
      "$VIEWSH" commit --resume k >/dev/null || die "round $i: resume at the end"
    fi
  elif [ -e "$layers/k" ]; then
    untouched
    verified
    "$VIEWSH" commit k >"$T/out" 2>&1 || die "round $i: anew: $(cat "$T/out")"
  fi
  commit_is "$T/committed" "the committed tree"
  [ ! -e "$layers/k" ] || die "round $i: the layer is still there"
  [ -z "$(find "$lower" -name '.viewsh*')" ] || die "round $i: names of the commit are left"
}

# shellcheck disable=SC2016 # for the shell in the view
snapshot_change='cd "$1" && for f in d/*; do echo new >$f; done && mkdir e && echo x >e/y'
snapshot_state() {
  # shellcheck disable=SC2016 # for the shell in the view
  in_view sh -c 'cd "$1" && cat d/* | sort | uniq -c; ls -d [de]; ls d | wc -l' sh "$lower"
}
snapshot_setup() {
  # shellcheck disable=SC2016 # for the shell in the view
  in_view sh -c 'cd "$1" && mkdir d && for i in $(seq 100); do echo old >d/f$i; done' sh "$lower" ||
    die "a layer"
  "$VIEWSH" snapshot k old >/dev/null || die "snapshot"
  old_state=$(snapshot_state)
  in_view sh -c "$snapshot_change" sh "$lower" || die "the changes"
  new_state=$(snapshot_state)
  digest "$lower" >"$T/before"
  measured "$VIEWSH" snapshot k unkilled
  "$VIEWSH" snapshot --delete k unkilled >/dev/null
}
snapshot_round() {
  local state
  if [ $((i % 2)) = 0 ]; then
    killed snapshot k "s$i"
  else
    killed restore k old
  fi
  untouched
  verified
  state=$(snapshot_state)
  case $state in
    "$new_state") ;;
    "$old_state")
      [ $((i % 2)) = 1 ] || die "round $i: a snapshot changed the view"
      told[restored]=$((${told[restored]-0} + 1))
      in_view sh -c "$snapshot_change" sh "$lower" || die "round $i: the changes again"
      ;;
    *) die "round $i: $state" ;;
  esac
  "$VIEWSH" diff k@old >/dev/null 2>&1 || "$VIEWSH" snapshot k >"$T/out" 2>&1 || die "round $i: snapshots"
  for name in $("$VIEWSH" snapshot k 2>/dev/null | awk '{ print $1 }' | grep -E '^(s[0-9]|before)'); do
    "$VIEWSH" snapshot --delete k "$name" >/dev/null || die "round $i: delete of $name"
  done
}

kind=${workload//-/_}
declare -F "${kind}_round" >/dev/null || die "kill.sh: no workload $workload"
echo "$workload: seed $seed"
i=0
"${kind}_setup"
for ((i = 1; i <= rounds; ++i)); do "${kind}_round"; done
echo "$workload: $rounds rounds over $duration ms:" "$(for how in "${!told[@]}"; do echo "$how ${told[$how]}"; done | sort | tr '\n' ' ')"

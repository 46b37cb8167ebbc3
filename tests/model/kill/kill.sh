#!/bin/bash
# kill.sh [N [SEED]]: kill -9 of the engine at N random points (6) of random operations, many
# renames, an untar and a git gc. Afterwards: the lower is untouched, no process is left, the layer
# opens, `viewsh diff` works, and each operation was done or not done, in order.
LIMIT=${KILL_LIMIT:-110}
. "$(dirname "$0")/../../support/lib.sh"
needs_view
need git tar
n=${1:-6}
RANDOM=${2:-$$}
echo "seed ${2:-$$}"
model=$P/model
cow=(--cow "$W/d" --layer k)

# killed_run LIMIT_MS COMMAND...: in a view; its engine is killed after a random part of that time.
killed_run() {
  local limit=$1 engine
  shift
  "$VIEWSH" run "${cow[@]}" -- "$@" >"$T/out" 2>"$T/err" </dev/null &
  engine=$!
  perl -e 'select undef, undef, undef, $ARGV[0]' \
    "$(awk "BEGIN { print ($RANDOM + $RANDOM / 32768) / 32768 * $limit / 1000 }")"
  kill -KILL "$engine" 2>/dev/null
  wait "$engine" 2>/dev/null
  wait_for 20 nothing_left
}
nothing_left() { # but this script itself
  local pid
  for pid in $(ps -o pid= -u "$(id -u)"); do
    if grep -qzxF "MODEL_KILLED=$T" "/proc/$pid/environ" 2>/dev/null &&
      ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; then
      return 1
    fi
  done
}
in_view() { "$VIEWSH" run "${cow[@]}" -- "$@"; }
fresh() {
  chmod -R u+rwX "$W/d" 2>/dev/null
  rm -rf "$W/d"
  mkdir "$W/d"
}
check_layer() { # WHAT
  if [ "$before" != "$(snapshot --exact "$W/d")" ]; then
    diff <(echo "$before") <(snapshot --exact "$W/d") | head
    die "$1: the lower was written to"
  fi
  if [ ! -f "$XDG_STATE_HOME/viewsh/layers/k/layer" ]; then # killed before there was one
    in_view true || die "$1: a layer that was cut short doesn't open"
    return 1
  fi
  "$VIEWSH" diff k >/dev/null || die "$1: diff"
}
drop_layer() {
  [ ! -d "$XDG_STATE_HOME/viewsh/layers/k" ] || "$VIEWSH" discard k >/dev/null || die "discard"
}

# Random operations, each of one call: the tree is that after those that were told, or one more.
operations() {
  local seed=$RANDOM told state
  fresh
  "$model" --kill-script "$W/d" "$seed" 400 "$T/script" "$T/states" || die "the script"
  before=$(snapshot --exact "$W/d")
  killed_run 350 env MODEL_KILLED="$T" "$model" --worker "$W/d" "$T/script"
  told=$(grep -c ' = ' "$T/out")
  if check_layer "operations"; then
    state=$(in_view "$model" --outline "$W/d") || die "operations, seed $seed: a later view"
    sed -n "$((told + 1)),$((told + 2))p" "$T/states" | grep -qxF "$state" ||
      die "operations, seed $seed: killed after $told; the tree is that of [$(
        grep -nxF "$state" "$T/states" | head -1)]: $(sed -n "$((told + 1))p" "$T/script")"
  fi
  drop_layer
}
# Renames of lower directories and files, in a circle: all names are there, one may be on its way.
renames() {
  local i told at
  fresh
  for i in 0 1 2 3 4 5 6 7 8 9; do
    mkdir -p "$W/d/x/n$i/deep"
    echo "$i" >"$W/d/x/n$i/deep/file"
  done
  before=$(snapshot --exact "$W/d")
  killed_run 300 env MODEL_KILLED="$T" perl -e '$| = 1; chdir shift or die; my $i = 0;
    while (1) { my $k = $i % 10; my ($a, $b) = ("x/n$k", "y$k");
      ($a, $b) = ($b, $a) if int($i / 10) % 2;
      rename($a, $b) or die "$a $b: $!"; print "$i\n"; $i++ }' "$W/d"
  told=$(wc -l <"$T/out")
  if check_layer "renames"; then
    # Each name is in one of two places; which says how many renames there were.
    at=$(in_view perl -e 'chdir shift; my ($done, $bad) = (0, 0); for my $k (0 .. 9) {
        my ($a, $b) = (-d "x/n$k", -d "y$k"); die "n$k: twice or not at all\n" if !$a == !$b;
        my $dir = $a ? "x/n$k" : "y$k"; open my $f, "<", "$dir/deep/file" or die "$dir: $!\n";
        die "$dir: content\n" if <$f> ne "$k\n"; print $a ? "x" : "y"; }' "$W/d") ||
      die "renames: $at"
    local expected="" next=""
    expected=$(perl -e 'my ($n) = @ARGV; print int(($n + 9 - $_) / 10) % 2 ? "y" : "x" for 0 .. 9' "$told")
    next=$(perl -e 'my ($n) = @ARGV; print int(($n + 9 - $_) / 10) % 2 ? "y" : "x" for 0 .. 9' "$((told + 1))")
    [ "$at" = "$expected" ] || [ "$at" = "$next" ] ||
      die "renames: $at after $told, not $expected nor $next"
  fi
  drop_layer
}
# An untar: the files that are there are the first of the archive, the last of them perhaps in part.
untar() {
  local bad
  fresh
  before=$(snapshot --exact "$W/d")
  killed_run 400 env MODEL_KILLED="$T" tar -C "$W/d" -xf "$T/archive.tar"
  if check_layer "untar"; then
    bad=$(in_view perl -e 'use strict; my ($root, $good, $list) = @ARGV; my ($state, $last) = (0, "");
      open my $in, "<", $list or die; while (my $f = <$in>) { chomp $f; next if $f =~ m{/$};
        if (!-e "$root/$f") { $state = 2; next; }
        print "$f is there, an earlier one is not or in part\n" if $state;
        my ($a, $b) = map { local $/; open my $h, "<", $_ or die "$_: $!"; <$h> // "" }
          "$root/$f", "$good/$f";
        next if $a eq $b; $state = 1;
        print "$f has wrong content\n" if $a ne substr($b, 0, length $a); }' \
      "$W/d" "$T/good" "$T/list" 2>&1)
    [ -z "$bad" ] || die "untar: $bad"
  fi
  drop_layer
}
# git gc: whenever it is killed, the repository is whole.
gc() {
  rm -rf "$W/d"
  cp -a "$T/repository" "$W/d"
  before=$(snapshot --exact "$W/d")
  killed_run 300 env MODEL_KILLED="$T" git -C "$W/d" -c gc.autoDetach=false gc -q --prune=now
  if check_layer "git gc"; then
    in_view git -C "$W/d" fsck --full --strict >"$T/fsck" 2>&1 || die "git fsck: $(cat "$T/fsck")"
    assert_eq "commits" 12 "$(in_view git -C "$W/d" rev-list --count HEAD)"
  fi
  drop_layer
}

mkdir "$T/good" "$T/repository"
for i in $(seq 60); do
  mkdir -p "$T/good/d$((i % 7))"
  head -c $((RANDOM * (i % 3 + 1))) /dev/urandom >"$T/good/d$((i % 7))/f$i"
done
tar -C "$T/good" -cf "$T/archive.tar" .
tar -tf "$T/archive.tar" >"$T/list"
git -C "$T/repository" init -q
for i in $(seq 12); do
  for k in $(seq 8); do echo "$i $k $RANDOM" >"$T/repository/f$k"; done
  git -C "$T/repository" add -A
  git -C "$T/repository" commit -qm "$i" || die "commit"
done
for ((i = 0; i < n; ++i)); do
  operations
  renames
  untar
  gc
done
echo "$n kills of each of four kinds"

#!/bin/bash
# A database with a write-ahead log, its writer killed: the snapshot and what is restored hold
# together, and further writes in place don't reach the snapshot.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need sqlite3
cd "$W" || exit 1
sqlite3 db 'pragma journal_mode=wal; create table t(x); insert into t values (1);' >/dev/null
view() { "$VIEWSH" run --cow "$W" --layer t -- "$@"; }
# The writer ends without a checkpoint: what it wrote is in db-wal.
view sh -c 'sqlite3 db "insert into t values (2);" ".shell kill -9 \$PPID"' >/dev/null 2>&1
assert_eq "written" "1|2" "$(view sqlite3 db 'select group_concat(x, "|") from t')"
"$VIEWSH" snapshot t two >/dev/null || die snapshot
view sqlite3 db 'insert into t values (3); pragma wal_checkpoint(truncate); vacuum; update t set x = x * 10;' >/dev/null || die writes
assert_eq "later" "10|20|30" "$(view sqlite3 db 'select group_concat(x, "|") from t')"
"$VIEWSH" restore t two >/dev/null || die restore
assert_eq "restored" "1|2" "$(view sqlite3 db 'select group_concat(x, "|") from t')"
assert_eq "whole" "ok" "$(view sqlite3 db 'pragma integrity_check')"
kept=$("$VIEWSH" snapshot t | grep -o '^before-restore[^ ]*')
"$VIEWSH" restore t "$kept" >/dev/null || die "restore of what was kept"
assert_eq "and back" "10|20|30" "$(view sqlite3 db 'select group_concat(x, "|") from t')"
assert_eq "the lower" "1" "$(sqlite3 db 'select group_concat(x, "|") from t')"
assert_eq "good" "t: good" "$("$VIEWSH" layers --verify t)"

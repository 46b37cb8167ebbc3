#!/bin/bash
# sqlite3 with a write-ahead log: shared memory, locks between processes, checkpoint.
. "$(dirname "$0")/../support/lib.sh"
need sqlite3
sqlite3 "$W/old.db" 'create table t(x); insert into t values (1), (2);'
export SNAPSHOT_VOLATILE='\.db(-wal|-shm|-journal)?$'
compare <<'BODY'
set -e
sqlite3 old.db 'pragma journal_mode=wal; insert into t values (3); select sum(x) from t;'
sqlite3 new.db 'pragma journal_mode=wal; create table n(i integer primary key, w);'
for w in 1 2 3 4; do
  for k in 1 2 3 4 5; do
    sqlite3 -cmd '.timeout 20000' new.db "insert into n(w) values ($w);"
  done &
done
wait
sqlite3 new.db 'select w, count(*) from n group by w; pragma integrity_check; pragma wal_checkpoint;'
# A reader keeps its state while another writes.
sqlite3 new.db <<'SQL'
begin; select count(*) from n;
.shell sqlite3 -cmd ".timeout 20000" new.db "insert into n(w) values (9);"
select count(*) from n; commit; select count(*) from n;
SQL
sqlite3 new.db '.backup copy.db'; sqlite3 copy.db 'select count(*) from n; vacuum;'
sqlite3 new.db 'pragma journal_mode=delete;'; ls
BODY

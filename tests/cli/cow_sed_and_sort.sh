#!/bin/bash
# sed -i (a rename over the file) and sort with temporary files.
. "$(dirname "$0")/../support/lib.sh"
seq 1 60000 | sed 's/$/ some text to make the line longer/' | tac >"$W/numbers"
printf 'a=1\nb=2\n' >"$W/config"
ln -s config "$W/link"
chmod 640 "$W/config"
compare <<'BODY'
set -e
sed -i 's/a=1/a=3/' config; cat config; stat -c %a config
sed -i.bak 's/b=2/b=4/' config; cat config config.bak
sed -i --follow-symlinks 's/a=3/a=5/' link; cat config; readlink link
sed -i 's/^/x/' config link; ls -F | sort
sort -n -S 200K -T "$TMPDIR" numbers >sorted; head -2 sorted
sort -u -S 300K --parallel=2 -o numbers numbers; wc -l numbers
ls -A "$TMPDIR"
sort -c sorted || echo "not sorted"
tac sorted | shuf --random-source=sorted | head -3
awk 'NR % 1000 == 0 {print > ("part" int(NR / 20000))}' sorted; wc -l part*
split -l 10000 sorted piece; cat piece* | cmp - sorted && rm piece*
join <(head -5 sorted | sort) <(head -5 sorted | sort) | head -1
BODY

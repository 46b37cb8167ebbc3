#!/bin/bash
# mv of a directory that exists only in the lower: atomic, everything below comes along.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/d/a/b" "$W/e"; for i in 1 2 3; do echo $i >"$W/d/a/f$i"; done; echo deep >"$W/d/a/b/g"; ln -s ../f1 "$W/d/a/b/l"; touch -d 2001-01-01 "$W/d/a/f1" "$W/d/a"
compare <<'BODY'
set -e
mv d/a moved; cat moved/f* moved/b/g moved/b/l; ls -A d; mv moved e/; mv e/moved/b .; ls -R
mkdir d/a; ls -A d/a; echo new >d/a/f1; cat d/a/f1 e/moved/f1; mv e d/a; ls -R; rm -r d/a/e/moved; mv d/a/e .; ls -AR
perl -e "rename(q(d), q(z)) or die qq(\$!\n)"; ls z
BODY

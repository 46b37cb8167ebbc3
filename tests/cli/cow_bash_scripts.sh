#!/bin/bash
# Shell scripts that make, move, copy, link and remove give the same in a copy-on-write view.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/lower/sub/deep" "$W/lower/gone"
echo one >"$W/lower/one"
echo two >"$W/lower/sub/two"
echo three >"$W/lower/sub/deep/three"
echo x >"$W/lower/gone/x"
ln "$W/lower/one" "$W/lower/sub/hard"
ln -s ../one "$W/lower/sub/soft"
truncate -s 3M "$W/lower/sparse"
chmod 600 "$W/lower/sub/two"
touch -d 2001-02-03T04:05:06 "$W/lower/one" "$W/lower/sub/deep/three"
compare 3 <<'BODY'
set -e
cd lower
umask 027
echo more >>one
cat sub/hard sub/soft
mkdir -p new/a/b sub/added
cp -a sub new/a/copy
mv sub/deep moved
mv gone/x . && rmdir gone && mkdir gone && ls -A gone
ln -s nowhere dangling
ln moved/three second
rm sub/two; echo again >sub/two
chmod 751 one; touch -d 2005-05-05T05:05:05 one
printf '%s\n' * */*
for i in $(seq 1 50); do echo "$i" >"new/file $i"; done
rm new/file\ 1*
while read -r line; do echo "got $line"; done < <(cat one; echo sub)
diff <(ls new) <(ls new | sort) && echo sorted
echo text | tee new/tee | wc -c
printf 'here %s\n' "$(cat <<'END'
document
END
)"
exec 5<>new/rw; echo five >&5; cat new/rw; exec 5>&-
[ -e one ] && [ -L dangling ] && [ ! -e dangling ] && [ -d moved ] && echo tests
truncate -s 1M sparse; stat -c '%s %b' new/tee; stat -c '%h %a %s' one second
(cd new/a && pwd -P && cd ../.. && pwd)
(exit 3) || code=$?
exit "$code"
BODY

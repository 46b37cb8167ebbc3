#!/bin/bash
# A mode that was set in the view is asked for every right, though the real directory has another.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/d/sub" "$W/list" "$W/search"
for dir in d d/sub list search; do echo text >"$W/$dir/f"; done
normalize() { sed 's/^bash: .*body.sh: line [0-9]*: //; s/^.*body.sh: line [0-9]*: //'; }
compare <<'BODY'
mkdir new; echo text >new/f; mkfifo pipe; echo text >file
for dir in d new; do
  chmod 000 $dir
  ls $dir; cat $dir/f; (cd $dir); rm $dir/f; touch $dir/g; echo x >$dir/f; [ -r $dir ] || echo unreadable
  mv $dir/f moved; ln $dir/f linked; ls $dir/sub; stat $dir/f; rmdir $dir/sub; mkdir $dir/h
done
chmod 444 list; ls list 2>&1; cat list/f; (cd list)
chmod 111 search; ls search; cat search/f; (cd search && cat f && ls)
chmod 000 file pipe; cat file; echo x >>file; (exec 3<>pipe)
chmod 755 d new list search; chmod 644 file pipe
ls d new list search
BODY

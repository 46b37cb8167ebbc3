#!/bin/bash
# A sparse file of 1 TB is changed, looked at, remembered, committed and carried elsewhere as what it holds, in no more
# time and room than that takes.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
mkdir d other
truncate -s 1T d/f 2>/dev/null || skip "the file system has no files of 1 TB"
cat >"$T/write.py" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for text, at in ((b'first', 0), (b'middle', 500 << 30), (b'last', (1 << 40) - 4)):
    os.pwrite(fd, text, at)
PY
cat >"$T/look.py" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
st = os.fstat(fd)
print(st.st_size, 'sparse' if st.st_blocks < 256 else st.st_blocks,
      *(os.pread(fd, n, at).decode() for n, at in ((5, 0), (6, 500 << 30), (4, (1 << 40) - 4))))
PY
want="$((1 << 40)) sparse first middle last"
python3 -c 'import os; fd = os.open("d/f", os.O_RDWR); os.pwrite(fd, b"lower", 1 << 30)'
"$VIEWSH" run --cow "$W/d" --layer k -- python3 "$T/write.py" d/f || die "write"
assert_eq "in the view" "$want" "$("$VIEWSH" run --cow "$W/d" --layer k -- python3 "$T/look.py" d/f)"
assert_eq "diff" "M $W/d/f" "$("$VIEWSH" diff k)"
"$VIEWSH" snapshot k s >/dev/null || die "snapshot"
"$VIEWSH" run --cow "$W/d" --layer k -- sh -c 'echo other >d/f' || die "overwrite"
"$VIEWSH" restore k s >/dev/null || die "restore"
"$VIEWSH" export k k.tar >/dev/null || die "export"
[ "$(stat -c %s k.tar)" -lt 1000000 ] || die "the export has $(stat -c %s k.tar) bytes"
(cd other && tar --sparse -xf ../k.tar) || die "tar -x"
assert_eq "by tar" "$want" "$(python3 "$T/look.py" "other$W/d/f" 2>/dev/null || python3 "$T/look.py" "$(find other -name f)")"
"$VIEWSH" commit k >/dev/null || die "commit"
assert_eq "committed" "$want" "$(python3 "$T/look.py" d/f)"
assert_eq "what was there" lower "$(python3 -c 'import os; print(os.pread(os.open("d/f", os.O_RDONLY), 5, 1 << 30).decode())')"

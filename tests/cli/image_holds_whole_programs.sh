#!/bin/bash
# bash, vim, python, gcc and a database of sqlite that live wholly in an image: the programs with their libraries
# and files, what they read and what they write.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
needs_view
export PATH=$PATH:/sbin:/usr/sbin
need mkfs.ext4 e2fsck gcc sqlite3
cd "$W" || exit 1
mkdir -p root/tmp root/proc root/dev root/home root/etc
copy() { # FILE...: with the libraries that it needs, as they are on the host
  local file library
  for file; do
    [ -e "$file" ] || continue
    [ -e "root$file" ] || cp --parents -L "$file" root
    ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
      [ -e "root$library" ] || cp --parents -L "$library" root
    done
  done
}
for program in bash cat ls rm mkdir cp sqlite3; do copy "$(PATH=/usr/bin:/bin command -v "$program")"; done
vim=$(PATH=/usr/bin:/bin command -v vim.tiny || PATH=/usr/bin:/bin command -v vim || true)
python=$(readlink -f "$(PATH=/usr/bin:/bin command -v python3 || true)")
[ -z "$vim" ] || copy "$(readlink -f "$vim")"
if [ -n "$python" ]; then
  copy "$python"
  library=$("$python" -c 'import os; print(os.path.dirname(os.__file__))')
  mkdir -p "root$library"
  tar -C "$library" --exclude=test --exclude=__pycache__ --exclude=site-packages --exclude=dist-packages -cf - . |
    tar -C "root$library" -xf -
  for module in "$library"/lib-dynload/*.so; do copy "$module"; done
fi
gcc=$(readlink -f "$(command -v gcc)")
copy "$gcc" "$(command -v as)" "$(command -v ld)"
for part in cc1 collect2 liblto_plugin.so; do copy "$(gcc -print-prog-name=$part)" "$(gcc -print-file-name=$part)"; done
for file in crt1.o Scrt1.o crti.o crtn.o crtbegin.o crtbeginS.o crtend.o crtendS.o libgcc.a libgcc_s.so libgcc_s.so.1 libc.so libc.so.6 libc_nonshared.a; do
  found=$(gcc -print-file-name=$file)
  [ ! -e "$found" ] || { found=$(realpath -s "$found") && cp --parents -L "$found" root; }
done
for header in $(echo | gcc -E -M -xc - | tr -d '\\' | grep -oE '/[^ ]+\.h'); do cp -L --parents "$header" root; done
mkdir -p root/usr/include
cp -L --parents /lib64/ld-linux-x86-64.so.2 root
cat >root/home/main.c <<'C'
int puts(const char*);
int main(void) { return puts("built in an image") < 0; }
C
cat >root/home/body.sh <<BODY
set -e
cd /home
echo 'set -e; cat main.c >copy.c' >script && bash script
sqlite3 base 'pragma journal_mode = wal; create table t (n); insert into t values (1), (2); begin; insert into t values (39); commit;'
sqlite3 base 'select sum(n) from t; pragma integrity_check;'
PATH=/usr/bin:/bin "$gcc" -o program copy.c; ./program
BODY
[ -z "$vim" ] || echo "$(readlink -f "$vim") -u NONE -es -c '%s/image/edit/' -c wq main.c && cat main.c" >>root/home/body.sh
[ -z "$python" ] || cat >>root/home/body.sh <<BODY
"$python" -c 'import json, sqlite3, mmap; f = open("mapped", "w+b"); f.write(bytes(8192)); f.flush(); m = mmap.mmap(f.fileno(), 0); m[5:9] = b"here"; m.flush(); print(json.dumps(sqlite3.connect("base").execute("select max(n) from t").fetchone()), open("mapped", "rb").read()[5:9])'
BODY
mkfs.ext4 -q -F -E root_owner="$(id -u):$(id -g)" -d root disk.img 600M 2>mkfs.out || die "mkfs: $(cat mkfs.out)"
rm -rf root
"$VIEWSH" run --mount "ext4:disk.img:/" --cwd / -- "$(PATH=/usr/bin:/bin command -v bash)" /home/body.sh >got 2>err || die "in the image: $(cat got err)"
assert_contains sqlite "$(cat got)" '^42$'
assert_contains sqlite "$(cat got)" '^ok$'
assert_contains gcc "$(cat got)" 'built in an image'
[ -z "$vim" ] || assert_contains vim "$(cat got)" 'built in an edit'
[ -z "$python" ] || assert_contains python "$(cat got)" "\\[39\\] b'here'"
e2fsck -fn disk.img >fsck.out 2>&1 || die "e2fsck: $(cat fsck.out)"

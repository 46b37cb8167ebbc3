#!/bin/bash
# gcc && ./a.out: what was just made in the view can be executed, found and stat-ed.
. "$(dirname "$0")/../support/lib.sh"
need gcc; printf "#include <stdio.h>\nint main(int c, char **v) { printf(\"%%s %%d\\\\n\", v[0], c); return 4; }\n" >"$W/m.c"
compare <<'BODY'
set -e
gcc m.c && ./a.out x || echo $?; cp a.out b.out; ./b.out || echo $?; mkdir bin; mv b.out bin/prog; PATH=$PWD/bin:$PATH prog 1 2 || echo $?
printf "#!%s/bin/prog\n" "$PWD" >script; chmod +x script; ./script || echo $?; (cd bin && ./prog || echo $?); gcc -shared -fPIC -o l.so m.c; LD_PRELOAD=$PWD/l.so /bin/true; rm a.out; gcc m.c; ./a.out >/dev/null || echo $?
BODY

#!/bin/bash
# make -j2 of a C project with generated headers, a library and a program; then a rebuild.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
need make gcc ar
mkdir -p "$W/project/src"
cd "$W/project" || exit 1
for i in $(seq 1 24); do
  printf '#include "config.h"\nint f%s(int x) { return x * %s + OFFSET; }\n' "$i" "$i" >"src/f$i.c"
done
{
  for i in $(seq 1 24); do echo "int f$i(int);"; done
  echo '#include <stdio.h>'
  echo 'int main(void) { int sum = 0;'
  for i in $(seq 1 24); do echo "sum += f$i(1);"; done
  echo 'printf("%d\n", sum); return 0; }'
} >src/main.c
cat >Makefile <<'MAKE'
OBJECTS = $(patsubst src/%.c,obj/%.o,$(filter-out src/main.c,$(wildcard src/*.c)))
CFLAGS = -O1 -g0 -Iobj
program: obj/main.o obj/libf.a
	$(CC) -o $@ $^
obj/libf.a: $(OBJECTS)
	$(AR) rcsD $@ $(sort $^)
obj/%.o: src/%.c obj/config.h
	$(CC) $(CFLAGS) -MMD -c -o $@ $<
obj/config.h:
	mkdir -p obj
	echo '#define OFFSET 7' >$@.tmp && mv $@.tmp $@
clean:
	rm -rf obj program
-include $(wildcard obj/*.d)
MAKE
cd "$W" || exit 1
normalize() { LC_ALL=C sort; }
compare <<'BODY'
set -e
cd project
make -j2 -s program
./program
make -q program && echo "up to date"
echo 'int f1(int x) { return x; }' >src/f1.c
make -j2 -s
./program
make -s clean
make -j2 -s
cp program installed && strip installed && ./installed
BODY

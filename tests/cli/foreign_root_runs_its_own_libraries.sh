#!/bin/bash
# --root: the dynamic linker and the libraries of that root run, not the host's. VIEWSH_FOREIGN_ROOT
# may name an unpacked root; else one of musl is made.
. "$(dirname "$0")/../support/lib.sh"
needs_view
if [ -n "${VIEWSH_FOREIGN_ROOT-}" ]; then
  root=$VIEWSH_FOREIGN_ROOT
  assert_eq "its release" "$(cat "$root/etc/os-release")" "$("$VIEWSH" run --root "$root" -- /bin/cat /etc/os-release)"
  libraries=$("$VIEWSH" run --root "$root" --cwd / -- /bin/sh -c 'cat /proc/self/maps') || die "sh"
  assert_contains "a C library" "$libraries" '/(libc|ld)'
  assert_eq "its own root" / "$("$VIEWSH" run --root "$root" --cwd / -- /bin/sh -c 'cd /; cd ..; pwd')"
  exit 0
fi
command -v musl-gcc >/dev/null || skip "no VIEWSH_FOREIGN_ROOT, and musl-tools is not installed"
for loader in /lib/ld-musl-x86_64.so.1 /usr/lib/x86_64-linux-musl/libc.so ''; do [ -e "$loader" ] && break; done
[ -n "$loader" ] || skip "no musl libc.so"
root=$T/root
mkdir -p "$root/lib" "$root/bin" "$root/usr/lib" "$root/etc" "$root/proc" "$root/dev" "$root/tmp"
cp -L "$loader" "$root/usr/lib/libc.so"
ln -s /usr/lib/libc.so "$root/lib/ld-musl-foreign.so.1" # a name that the host does not have
echo foreign >"$root/etc/name"
printf 'const char *which(void) { return "library of the root"; }\n' >"$T/lib.c"
musl-gcc -shared -fPIC "$T/lib.c" -o "$root/usr/lib/libwhich.so" || die "library"
cat >"$T/main.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <unistd.h>
const char *which(void);
int main(int argc, char **argv) {
  char text[4096] = {0};
  FILE *f = fopen("/etc/name", "r");
  printf("%s|%s", which(), f && fgets(text, sizeof(text), f) ? text : "no file\n");
  ssize_t n = readlink("/proc/self/exe", text, sizeof(text) - 1);
  text[n > 0 ? n : 0] = 0;
  printf("%s|%s|%d\n", text, argv[0], argc);
  f = fopen("/proc/self/maps", "r");
  int own = 0, host = 0;
  while (f && fgets(text, sizeof(text), f)) {
    own |= strstr(text, " /usr/lib/libwhich.so") != NULL;
    host |= strstr(text, "libc.so.6") != NULL;
  }
  printf("own=%d host=%d\n", own, host);
  return 0;
}
C
musl-gcc "$T/main.c" -o "$root/bin/main" -L"$root/usr/lib" -lwhich \
  -Wl,--dynamic-linker=/lib/ld-musl-foreign.so.1 -Wl,-rpath,/usr/lib || die "program"
printf '#!/bin/main\n' >"$root/bin/script"
chmod +x "$root/bin/script"
got=$("$VIEWSH" run --root "$root" --bind /proc:/proc --cwd / -- /bin/main x 2>&1) || die "run: $got"
assert_eq "program of the root" "$(printf 'library of the root|foreign\n/bin/main|/bin/main|2\nown=1 host=0')" "$got"
got=$("$VIEWSH" run --root "$root" --bind /proc:/proc --cwd / -- /bin/script 2>&1) || die "script: $got"
assert_contains "script" "$got" '^/bin/main\|/bin/main\|2$'
assert_status 127 "$VIEWSH" run --root "$root" --cwd / -- /usr/bin/env true 2>/dev/null

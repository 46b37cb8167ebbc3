#!/bin/bash
# viewsh plugins lists the shipped ones; one built elsewhere with find_package(viewsh) is loaded by a
# profile that names it.
LIMIT=300
. "$(dirname "$0")/../support/lib.sh"
needs_view
need cmake g++
list=$("$VIEWSH" plugins) || die "plugins"
for name in viewfs umdev umbinfmt umname; do assert_contains "listed" "$list" "$name"; done
[ -f "$VIEWSH_BUILD_DIR/CMakeCache.txt" ] || skip "no build tree to install from"
[ -f "$VIEWSH_BUILD_DIR/cmake_install.cmake" ] || skip "nothing can be installed from the build tree"
# The list of what was installed would go into the build tree, which may belong to someone else.
sed "s#file(WRITE \"$VIEWSH_BUILD_DIR/#file(WRITE \"$T/#" "$VIEWSH_BUILD_DIR/cmake_install.cmake" >"$T/install.cmake"
cmake -DCMAKE_INSTALL_PREFIX="$T/prefix" -P "$T/install.cmake" >"$T/log" 2>&1 || die "install: $(tail -3 "$T/log")"
cmake -S "$S/tests/programs/out_of_tree_plugin" -B "$T/plugin" -DCMAKE_PREFIX_PATH="$T/prefix" >"$T/log" 2>&1 ||
  die "find_package(viewsh): $(tail -5 "$T/log")"
cmake --build "$T/plugin" >"$T/log" 2>&1 || die "build: $(tail -20 "$T/log")"
mkdir "$W/at"
cat >"$W/p.yaml" <<YAML
viewsh: 1
plugins: [{path: $T/plugin/answer.so}]
YAML
assert_eq "loaded" fine "$("$VIEWSH" run -p "$W/p.yaml" -- echo fine)"
cat >>"$W/p.yaml" <<YAML
mounts: [{type: answer, at: $W/at, source: $W/at}]
YAML
refused 125 'the answer is 42' "$VIEWSH" run -p "$W/p.yaml" -- true

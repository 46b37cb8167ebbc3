#!/bin/bash
# cmake configures viewsh itself in a view, and builds a part of it.
LIMIT=400
. "$(dirname "$0")/../support/lib.sh"
need cmake make g++
[ -f "$S/CMakeLists.txt" ] || skip "no source tree at $S"
# Everything but names and types depends on the moment.
export SNAPSHOT_VOLATILE='.' SNAPSHOT_IGNORE='CMakeFiles/CMakeTmp|CMakeScratch|TryCompile|\.(d|log)$'
normalize() { sed -E 's/\([0-9.]+s\)//'; }
export PROJECT_SOURCE=$S
compare <<'BODY'
set -e
cmake -S "$PROJECT_SOURCE" -B build -DVIEWSH_TESTS=OFF -DCMAKE_BUILD_TYPE=Debug
cmake --build build --target viewsh_base -- -s
ls build/engine
BODY

#!/bin/bash
# include_direction_test.sh SOURCE_DIR: includes point down this list, never up and never sideways;
# a plugin sees the first item and its own folder.
#
#   engine/include/viewsh <- engine/base <- engine/tracee | engine/vfs
#     <- engine/syscalls | engine/outside <- engine <- cli
#
# And third-party libraries stay behind one folder each.
set -u
cd "${1:-$(dirname "$0")/../../..}" || exit 1
status=0
wrong() {
  echo "$1: #include \"$2\": $3"
  status=1
}

# layer FILE: the folder of the list that it is in.
layer() {
  case $1 in
    engine/include/viewsh/*) echo api ;;
    engine/base/*) echo base ;;
    engine/tracee/*) echo tracee ;;
    engine/vfs/*) echo vfs ;;
    engine/syscalls/*) echo syscalls ;;
    engine/outside/*) echo outside ;;
    engine/*) echo engine ;;
    cli/*) echo cli ;;
    plugins/*) echo plugin ;;
  esac
}
# below LAYER: the layers that it may include.
below() {
  case $1 in
    api) echo "api" ;;
    base) echo "api base" ;;
    tracee) echo "api base tracee" ;;
    vfs) echo "api base vfs" ;;
    syscalls) echo "api base tracee vfs syscalls" ;;
    outside) echo "api base vfs outside" ;;
    engine) echo "api base tracee vfs syscalls outside engine" ;;
    cli) echo "api base tracee vfs syscalls outside engine cli" ;;
  esac
}
# found FILE NAME: the project file that #include "NAME" in FILE means, empty if none.
found() {
  local candidate
  for candidate in "$(dirname "$1")/$2" "$2" "engine/$2" "engine/include/$2" "plugins/$2"; do
    if [ -f "$candidate" ]; then
      candidate=$(realpath -m --relative-to=. "$candidate")
      echo "$candidate"
      return
    fi
  done
}

while IFS=: read -r file name; do
  from=$(layer "$file")
  [ -n "$from" ] || continue
  target=$(found "$file" "$name")
  if [ -z "$target" ]; then
    continue # of the system; a missing one is the compiler's to tell
  elif [ "$from" = plugin ]; then
    own=$(cut -d/ -f1-2 <<<"$file")
    case $target in
      engine/include/viewsh/* | "$own"/*) ;;
      *) wrong "$file" "$name" "a plugin sees only viewsh/ headers and its own folder" ;;
    esac
  else
    to=$(layer "$target")
    case " $(below "$from") " in
      *" $to "*) ;;
      *) wrong "$file" "$name" "$from must not see ${to:-$target}" ;;
    esac
  fi
done < <(find engine cli plugins -name '*.h' -o -name '*.cc' -o -name '*.S' | sort |
  xargs -r grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' |
  sed -E 's/:[^"]*"([^"]+)".*/:\1/')

# only FOLDER[|FOLDER] REGEX: third-party headers that match are seen there alone.
only() {
  local hits
  hits=$(grep -rnE "#[[:space:]]*include[[:space:]]+<($2)" engine cli plugins --include='*.h' --include='*.cc' |
    grep -vE "^($1)/")
  if [ -n "$hits" ]; then
    echo "$hits: only $1/ may see this"
    status=1
  fi
}
only cli 'yaml-cpp/|CLI/'
only plugins/umfuse 'ext2fs/'
only 'plugins/umfuse|engine/outside/fuse' 'fuse'
only 'plugins/umfuse|plugins/viewfs/archive' 'archive(_entry)?\.h'
exit $status

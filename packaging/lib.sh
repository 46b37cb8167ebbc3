# Shared by quickstart and check; sourced, not run.
# shellcheck shell=bash disable=SC2034  # green is for the scripts that source this

umask 022
export LC_ALL=C.UTF-8
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
jobs=$(nproc)

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' red='' green='' plain=''
fi

# The name of the script that is running, for its messages.
self=$(basename "$0")

# The last line is always a verdict, however the script ends.
told=''
finish() {
  local status=$?
  remove_user
  if [[ $status -ne 0 && -z $told ]]; then
    printf '%s\n' "${red}$self: FAILED (exit status $status)${plain}" >&2
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '%s\n' "${bold}== $*${plain}"; }
note() { printf '   %s\n' "$*"; }
die() {
  told=yes
  printf '%s\n' "${red}$self: FAILED: $*${plain}" >&2
  exit 1
}

# missing_packages LIST...: prints the packages of packages/LIST.txt that are not installed.
missing_packages() {
  local list package program
  for list in "$@"; do
    while read -r package program; do
      [[ -z $package || $package == '#'* ]] && continue
      if [[ -n $program ]] && PATH=$system_path command -v "$program" >/dev/null; then continue; fi
      # shellcheck disable=SC2016  # a format of dpkg-query's
      [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] && continue
      printf '%s\n' "$package"
    done <"$top/packaging/packages/$list.txt"
  done
}

# install_packages LIST...: installs with apt what is missing. No network where nothing is.
install_packages() {
  local -a missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then
    note "all packages are there ($*)"
    return
  fi
  note "missing: ${missing[*]}"
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null ||
      die "packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
    note "installing them with sudo apt-get"
  else
    note "installing them with apt-get"
  fi
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update || note "apt-get update failed; trying with the lists that are there"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install ${missing[*]}"
}

# The ordinary user that things run as, and everything he owns. Root becomes a numeric id that
# nobody has; anyone else stays who he is, but with a home and a temporary directory of his own.
user_id='' user_dir=''
make_user() {
  user_dir=$(mktemp -d /var/tmp/vwsh.XXXXXX)
  mkdir -p "$user_dir/home" "$user_dir/tmp" "$user_dir/run"
  chmod 700 "$user_dir/run"
  if [[ $(id -u) -ne 0 ]]; then
    user_id=$(id -u)
    return
  fi
  user_id=61000
  while getent passwd "$user_id" >/dev/null || getent group "$user_id" >/dev/null ||
    [[ -n $(find /proc -maxdepth 1 -uid "$user_id" -print -quit 2>/dev/null) ]]; do
    user_id=$((user_id + 1))
  done
  chown -R "$user_id:$user_id" "$user_dir"
}

remove_user() {
  [[ -n $user_dir ]] || return 0
  chmod -R u+rwX "$user_dir" 2>/dev/null || true
  rm -rf "$user_dir" || true
}

# as_user COMMAND...: runs it as that user, in his home, with a small environment.
as_user() {
  local -a switch=()
  if [[ $(id -u) -eq 0 ]]; then
    switch=(setpriv --reuid "$user_id" --regid "$user_id" --clear-groups --inh-caps=-all)
  fi
  (
    cd "$user_dir/home" || exit
    exec env -i ${CI:+CI="$CI"} PATH="$system_path:/usr/games" HOME="$user_dir/home" \
      TMPDIR="$user_dir/tmp" XDG_RUNTIME_DIR="$user_dir/run" LC_ALL="$LC_ALL" \
      SHELL=/bin/bash TERM="${TERM:-dumb}" ${NO_COLOR:+NO_COLOR="$NO_COLOR"} \
      "${switch[@]}" "$@"
  )
}

# use_readable_source: sets `source_dir` to the checkout or, where the user can't read that (below
# /root, say), to a copy that is made for this run.
source_dir=$top
use_readable_source() {
  if as_user find "$top" -path "$top/.git" -prune -o -path "$top/build*" -prune -o \
    ! -readable -print -quit 2>/dev/null | grep -q . || ! as_user test -r "$top/CMakeLists.txt"; then
    source_dir=$user_dir/source
    note "an ordinary user can't read $top: working on a copy, $source_dir"
    mkdir "$source_dir"
    tar -C "$top" --exclude=./.git --exclude='./build*' -cf - . | tar -C "$source_dir" -xf -
    chmod -R a+rX "$source_dir"
    chmod a+x "$user_dir"
  fi
}

# build DIR NAME CMAKE_OPTION...: configures and builds source_dir/DIR. `project`: the directory of the
# source that has the project, else all of it.
build() {
  local dir=$source_dir/$1 name=$2
  shift 2
  say "building ($name) in $dir"
  mkdir -p "$dir"
  cmake -S "$source_dir${project:+/$project}" -B "$dir" "$@" >"$dir/configure.log" 2>&1 ||
    { cat "$dir/configure.log" >&2; die "cmake could not configure $dir"; }
  cmake --build "$dir" -j "$jobs" >"$dir/build.log" 2>&1 ||
    { tail -n 60 "$dir/build.log" >&2; die "the build in $dir failed; all of it: $dir/build.log"; }
  note "built; log: $dir/build.log"
}

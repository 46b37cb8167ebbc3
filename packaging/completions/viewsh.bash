# bash completion for viewsh(1)

_viewsh_names() {
  # Names of profiles, layers or snapshots, from the listing's JSON.
  viewsh "$@" --json 2>/dev/null | sed -n 's/^ *"name": "\([^"\\]*\)",\{0,1\}$/\1/p'
}

_viewsh() {
  local cur prev words cword
  if declare -F _init_completion >/dev/null; then
    _init_completion -n := || return
  else
    words=("${COMP_WORDS[@]}")
    cword=$COMP_CWORD
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
  fi
  local commands="run try check show resolve profiles plugins doctor layers diff commit discard
    export import snapshot restore mount-host"
  local view="--profile --bind --hide --tmpfs --cow --mincow --layer --merge --mount --root --disk --env
    --allow --uid --gid --fake-root --unset --clear-env --cwd"
  local run="--trace --stats --kill-on-exit"
  [[ ${words[1]-} != run ]] || run+=" --learn"
  if ((cword == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
    return
  fi

  # The first word that is no option begins COMMAND, which has a completion of its own.
  local command=${words[1]} i
  if [[ $command == run || $command == try ]]; then
    for ((i = 2; i < cword; i++)); do
      case ${words[i]} in
        --)
          ((i++))
          break
          ;;
        --clear-env | --fake-root | --trace | --trace=* | --stats | --kill-on-exit | --commit | --keep | \
          --discard | --help | -h | --*=* | -p?*) ;;
        -*) ((i++)) ;;
        *) break ;;
      esac
    done
    if ((i < cword)) || { ((i == cword)) && [[ $prev == -- ]]; }; then
      if declare -F _command_offset >/dev/null; then
        _command_offset "$i"
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      fi
      return
    fi
  fi

  case $prev in
    -p | --profile)
      mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names profiles)" -- "$cur"
        compgen -f -X '!*.yaml' -- "$cur")
      return
      ;;
    --layer)
      mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names layers)" -- "$cur")
      return
      ;;
    --compress)
      mapfile -t COMPREPLY < <(compgen -W "zstd gzip none" -- "$cur")
      return
      ;;
    --root | --cwd | --cow | --mincow | --tmpfs | --overlayfs | --at)
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    --hide | --bind | --merge | --disk | --mount)
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return
      ;;
    --allow)
      mapfile -t COMPREPLY < <(compgen -W mount -- "$cur")
      return
      ;;
    --uid)
      mapfile -t COMPREPLY < <(compgen -W "$(getent passwd | cut -d: -f3)" -- "$cur")
      return
      ;;
    --gid)
      mapfile -t COMPREPLY < <(compgen -W "$(getent group | cut -d: -f3)" -- "$cur")
      return
      ;;
    --env | --unset)
      mapfile -t COMPREPLY < <(compgen -v -- "$cur")
      return
      ;;
  esac

  local options=""
  case $command in
    run) options="$view $run" ;;
    try) options="$view $run --commit --keep --discard" ;;
    show) options="$view --yaml --json" ;;
    resolve) options="$view --json" ;;
    diff) options="--patch --stat --json" ;;
    commit) options="--dry-run --force --ours --theirs --interactive --script --resume --undo --json" ;;
    export) options="--compress --overlayfs --json" ;;
    import) options="--at --root --overlayfs --json" ;;
    layers) options="--history --verify --repair --json" ;;
    snapshot) options="--delete --json" ;;
    mount-host) options="--foreground" ;;
    check | profiles | plugins | doctor | discard | restore) options="--json" ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur")
    return
  fi
  case $command in
    run | try) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    check) mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names profiles)" -- "$cur"
      compgen -f -X '!*.yaml' -- "$cur") ;;
    mount-host)
      if ((cword == 2)) || [[ $prev == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names profiles)" -- "$cur"
          compgen -f -X '!*.yaml' -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      fi
      ;;
    resolve) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    import) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    layers) mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names layers)" -- "$cur") ;;
    snapshot | restore)
      if ((cword == 2)) || [[ $prev == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names layers)" -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names snapshot "$prev")" -- "$cur")
      fi
      ;;
    diff | commit | discard | export)
      if ((cword == 2)) || [[ $prev == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_viewsh_names layers)" -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      fi
      ;;
  esac
}

complete -o filenames -F _viewsh viewsh

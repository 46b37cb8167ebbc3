#!/bin/bash
# Unknown keys, wrong types, wrong versions: file:line:column, the key, and what would be right.
. "$(dirname "$0")/../support/lib.sh"
needs_view
bad() { # REGEX TEXT
  printf '%b' "$2" >"$T/p.yaml"
  refused 125 "$1" "$VIEWSH" check "$T/p.yaml"
  refused 125 "$1" "$VIEWSH" run -p "$T/p.yaml" -- true
}
bad 'p\.yaml:2:1.*mount\b' 'viewsh: 1\nmount: []\n'
bad 'p\.yaml:3:[0-9]+.*sorce' 'viewsh: 1\nmounts:\n  - {type: bind, at: /mnt, sorce: /tmp}\n'
bad 'p\.yaml:2:[0-9]+.*(cwd|string|text|path)' 'viewsh: 1\ncwd: [a, b]\n'
bad 'p\.yaml:2:[0-9]+.*(mounts|list|sequence)' 'viewsh: 1\nmounts: bind\n'
bad 'p\.yaml:1:[0-9]+.*(version|viewsh)' 'viewsh: 99\n'
bad 'p\.yaml(:[0-9]+:[0-9]+)?.*viewsh' 'mounts: []\n'
bad 'p\.yaml:3:[0-9]+.*(type|nosuchtype)' 'viewsh: 1\nmounts:\n  - {type: nosuchtype, at: /mnt, source: /tmp}\n'
bad 'p\.yaml:3:[0-9]+.*(size|lots)' 'viewsh: 1\nmounts:\n  - {type: tmpfs, at: /mnt, options: [size=lots]}\n'
bad 'p\.yaml:3:[0-9]+.*\bat\b' 'viewsh: 1\nmounts:\n  - {type: bind, source: /tmp}\n'
bad 'p\.yaml:3:[0-9]+.*(twice|already|again|duplicate)' 'viewsh: 1\ncwd: /\ncwd: /tmp\n'

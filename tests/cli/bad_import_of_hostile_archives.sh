#!/bin/bash
# Archives that would reach out of a layer are refused with one line, and no layer is left.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need tar
cd "$T" || exit
layers=${XDG_STATE_HOME:-$HOME/.local/state}/viewsh/layers
mkdir in && echo x >in/f && ln -s /etc in/link
tar -cPf abs.tar "$T/in/f" && refused 125 'absolute path' "$VIEWSH" import abs.tar x
tar -cPf up.tar in/../in/f && refused 125 "with '\.\.'" "$VIEWSH" import up.tar x
tar -cf link.tar -C in link && tar -rf link.tar -C in --transform s,^f,link/f, f
refused 125 'goes through /link, which is a symbolic link' "$VIEWSH" import link.tar x
tar -cf dev.tar -C / dev/null && refused 125 '/dev/null: a device node' "$VIEWSH" import dev.tar x
tar -cf whole.tar -C in f && head -c 1024 whole.tar >cut.tar
refused 125 'cut short' "$VIEWSH" import cut.tar x
head -c 700 whole.tar >cut.tar && refused 125 'cut.tar: ' "$VIEWSH" import cut.tar x
: >empty && refused 125 'empty: ' "$VIEWSH" import empty x
refused 125 'No such file' "$VIEWSH" import nothing x
refused 125 'needs FILE LAYER' "$VIEWSH" import whole.tar
refused 125 'one file name' "$VIEWSH" import whole.tar ../x
refused 125 'no such layer' "$VIEWSH" export x x.tar
[ -z "$(ls -A "$layers")" ] || die "something is left: $(ls -A "$layers")"

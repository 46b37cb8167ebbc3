#!/bin/bash
# model.sh [OPTION...]: the model program as an ordinary user in a directory of its own. Options are
# those of `model`; MODEL_LIMIT: seconds, 120 by default.
LIMIT=${MODEL_LIMIT:-120}
. "$(dirname "$0")/../support/lib.sh"
case " $* " in
  *" --config fuse "*) [ -x "$P/fuse_mirror" ] || skip "fuse_mirror isn't built: libfuse3-dev" ;;
esac
exec "$P/model" "$@"

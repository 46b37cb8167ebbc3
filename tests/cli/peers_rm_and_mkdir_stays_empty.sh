#!/bin/bash
# rm -rf d; mkdir d: what was deleted does not come back.
. "$(dirname "$0")/../support/lib.sh"
mkdir -p "$W/d/sub/deep"; echo 1 >"$W/d/f"; echo 2 >"$W/d/sub/deep/g"; mkdir "$W/other"; echo o >"$W/other/f"
compare <<'BODY'
set -e
rm -rf d; mkdir d; ls -A d; cat d/f 2>/dev/null || echo gone; mkdir d/sub; ls -A d/sub
[ -e d/sub/deep ] && echo back; echo new >d/f; rm d/f; ls -A d; rmdir d/sub d; mkdir -p d/sub/deep; ls -A d/sub/deep
cat other/f; mv other d/; rm -r d; mkdir other; ls -A other; : >other/f; cat other/f
BODY

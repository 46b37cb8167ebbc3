#!/bin/bash
# Headless Firefox takes a screenshot of a local page with its profile in the view, in its own sandbox.
LIMIT=500
. "$(dirname "$0")/../support/lib.sh"
browser=$(command -v firefox || command -v firefox-esr) || skip "no firefox"
mkdir "$W/page" "$W/profile"
echo "<html><body style=\"background:#0a0\"><h1>local page</h1><script>localStorage.x=1</script></body></html>" >"$W/page/index.html"
echo kept >"$W/profile/lower"
export browser SNAPSHOT_IGNORE='^(home|tmp|profile)/' SNAPSHOT_VOLATILE='shot\.png$'
normalize() { grep -E '^(PNG|kept|[0-9]+$|/| )' || true; }
compare <<'BODY'
export MOZ_HEADLESS=1
timeout 200 "$browser" --no-remote --profile "$PWD/profile" --window-size 320,240 \
  --screenshot "$PWD/shot.png" "file://$PWD/page/index.html" >/dev/null 2>&1 || exit
[ -s shot.png ] && head -c 8 shot.png | od -An -c
[ -f profile/prefs.js ] && cat profile/lower
BODY

#!/bin/bash
# Headless Chromium takes a screenshot of a local page with its profile in the view, in its own sandbox
# where user namespaces are to be had.
LIMIT=400
. "$(dirname "$0")/../support/lib.sh"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  skip "no chromium"
mkdir "$W/page" "$W/profile"
echo "<html><body style=\"background:#0a0\"><h1>local page</h1><script>localStorage.x=1</script></body></html>" >"$W/page/index.html"
echo kept >"$W/profile/lower"
sandbox=
unshare --user true 2>/dev/null || sandbox=--no-sandbox
export sandbox browser SNAPSHOT_IGNORE='^(home|tmp|profile)/' SNAPSHOT_VOLATILE='shot\.png$'
normalize() { grep -vE 'ERROR|WARNING|INFO|bytes written|Fontconfig|dbus|DevTools|^$' || true; }
compare <<'BODY'
timeout 150 "$browser" --headless $sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
  --user-data-dir="$PWD/profile" --window-size=320,240 --screenshot="$PWD/shot.png" \
  "file://$PWD/page/index.html" 2>/dev/null || exit
[ -s shot.png ] && head -c 8 shot.png | od -An -c
[ -d profile/Default ] && cat profile/lower
BODY

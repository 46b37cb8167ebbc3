#!/bin/bash
# npm install of a package from a local tarball, without network, and the program that uses it.
LIMIT=300
. "$(dirname "$0")/../support/lib.sh"
need npm node
mkdir -p "$W/dep/bin" "$W/app"
echo '{"name":"dep","version":"1.2.3","main":"index.js","bin":{"dep":"bin/dep.js"}}' >"$W/dep/package.json"
echo 'module.exports = x => x * 2;' >"$W/dep/index.js"
printf '#!/usr/bin/env node\nconsole.log("dep", require("..")(21));\n' >"$W/dep/bin/dep.js"
chmod +x "$W/dep/bin/dep.js"
(cd "$W/dep" && npm pack --silent --pack-destination "$W" >/dev/null 2>&1) || skip "npm pack does not work here"
rm -rf "$W/home"/.npm
echo '{"name":"app","version":"1.0.0","scripts":{"go":"dep && node main.js"}}' >"$W/app/package.json"
echo 'console.log(require("dep")(4));' >"$W/app/main.js"
export SNAPSHOT_VOLATILE='_cacache|_logs|\.package-lock\.json|_update' SNAPSHOT_IGNORE='home/\.npm/(_logs|_cacache)|home/\.cache'
normalize() { sed -E 's/in [0-9.]+m?s$//; /^npm notice/d'; }
compare <<'BODY'
set -e
cd app
npm install --offline --no-audit --no-fund --no-update-notifier ../dep-1.2.3.tgz
npm run --silent go
ls -l node_modules/.bin | tail -n +2 | awk '{print $1, $NF}'
npm ls --offline
BODY

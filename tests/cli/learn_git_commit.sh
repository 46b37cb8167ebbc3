#!/usr/bin/env bash
# A commit is made in a repository, and another one under the profile.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need git

git init -q "$W/repo"
echo 1 >"$W/repo/file"
git -C "$W/repo" add file
normalize() { sed -E 's/[0-9a-f]{7,}/HASH/g'; }
commit='cd repo && git commit -q --allow-empty -m one && git log --format=%s -1'
relearn git sh -c "$commit"
assert_eq 'commits' 2 "$(git -C "$W/repo" rev-list --count HEAD)"
git -C "$W/repo" fsck --strict >/dev/null 2>&1 || die "git fsck"
assert_contains 'the repository is written' "$learned" 'bind, at: \$PWD/repo/\.git, source: \$PWD/repo/\.git\}'

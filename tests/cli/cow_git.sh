#!/bin/bash
# git: clone, commit, status, checkout, branch, merge, gc, fsck.
LIMIT=240
. "$(dirname "$0")/../support/lib.sh"
need git
(
  git init -q -b main "$W/origin" && cd "$W/origin" || exit 1
  for i in $(seq 1 40); do
    mkdir -p "dir$((i % 5))"
    echo "line of file $i" >"dir$((i % 5))/file$i"
  done
  git add . && git commit -qm first
) || die "no repository"
# The index and its timestamps, logs and packs name times and inodes. An object's name says what is in
# it; git touches the one that it would write again, as it does with files of the index's own second.
export SNAPSHOT_VOLATILE='\.git/(worktrees/tree/)?(index|logs/|objects/|COMMIT_EDITMSG|FETCH_HEAD|ORIG_HEAD|gc\.)'
compare <<'BODY'
set -e
git clone -q origin clone
cd clone
git status --short
echo changed >>dir1/file1; rm dir2/file2; echo new >dir3/new; mkdir other; echo x >other/x
git status --short
git add -A; git commit -qm second
git checkout -q -b side HEAD~1
echo side >side; git add side; git commit -qm side
git checkout -q main
git merge -q --no-edit side
git mv dir4 renamed; git commit -qm renamed
git log --oneline --stat
git stash list; git diff HEAD~1 --stat
git gc -q --aggressive --prune=now
git fsck --strict
git status --short
git checkout -q HEAD~2
find . -path ./.git -prune -o -type f -print | sort | head -60
git worktree add -q ../tree main
git -C ../tree status --short
git clean -dfx
BODY

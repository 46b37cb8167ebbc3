#!/bin/bash
# mount-host shows a patchwork of binds, hidden names, a tmpfs and a merge to processes of no view;
# what is written goes where it would from inside, and what may not be written doesn't.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/mount_host.sh"
cd "$W" || exit 1
mkdir -p root/etc root/secret root/open a b kept
echo passwd >root/etc/passwd
echo secret >root/secret/key
echo a >a/both
echo b >b/both
echo only >b/only
echo real >kept/file
ln -s file kept/link
serve "root: $W/root
mounts:
  - {type: bind, at: /kept, source: $W/kept}
  - {type: bind, at: /read, source: $W/kept, options: [ro]}
  - {type: hide, at: /secret}
  - {type: tmpfs, at: /scratch, options: [size=1M]}
  - {type: merge, at: /both, sources: [$W/a, $W/b]}"
assert_eq "names" "both dev etc kept open proc read scratch sys" "$(find mnt -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)"
assert_eq "a file" passwd "$(cat mnt/etc/passwd)"
[ ! -e mnt/secret ] && [ ! -e mnt/secret/key ] || die "what is hidden is there"
assert_eq "merged" "a only" "$(cat mnt/both/both mnt/both/only | xargs)"
assert_eq "a link" "real file" "$(cat mnt/kept/link) $(readlink mnt/kept/link)"
echo changed >mnt/kept/file || die "write through a bind"
echo new >mnt/kept/new || die "create through a bind"
assert_eq "written through" "changed new" "$(cat kept/file kept/new | xargs)"
assert_eq "seen by the other bind" changed "$(cat mnt/read/file)"
for change in 'echo x >mnt/read/file' 'touch mnt/read/x' 'rm mnt/read/file' 'mkdir mnt/read/d' 'mv mnt/read/file mnt/read/f' 'chmod 600 mnt/read/file'; do
  out=$(eval "$change" 2>&1) && die "done on a read-only bind: $change"
  assert_contains "$change" "$out" 'Read-only file system'
done
out=$(mv mnt/kept/new mnt/scratch/new 2>&1) || die "mv between mounts: $out"
[ ! -e kept/new ] && [ -e mnt/scratch/new ] || die "mv between mounts"
out=$(rmdir mnt/scratch 2>&1) && die "a mount point was removed"
assert_contains "rmdir" "$out" 'busy'
out=$(ln mnt/kept/file mnt/scratch/f 2>&1) && die "a link between mounts"
assert_contains "ln" "$out" 'cross-device'
out=$(cp /dev/stdin mnt/scratch/large < <(head -c 3M /dev/zero) 2>&1) && die "more than the tmpfs has room for"
assert_contains "a full tmpfs" "$out" 'No space left'
rm mnt/scratch/large
unserve
[ -z "$(ls mnt)" ] || die "something is left at the mount point"
assert_eq "what stays" "a b changed passwd" "$(cat a/both b/both kept/file root/etc/passwd | xargs)"
[ -z "$(ls root/open)" ] && [ ! -e root/scratch ] && [ ! -e root/kept ] || die "made in the root"

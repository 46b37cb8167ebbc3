#!/usr/bin/env bash
# A script and its tools run again in what they used; nothing else is there.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view

mkdir "$W/data"
printf 'b 2\na 1\nc 3\n' >"$W/data/list"
echo secret >"$W/data/unused"
ln -s list "$W/data/alias"
cat >"$W/script.sh" <<'X'
#!/bin/sh
grep -v c data/list | sed 's/ /=/' | sort
test -e data/nothing || echo no
cat data/alias
readlink data/alias
exit 3
X
chmod +x "$W/script.sh"

relearn script ./script.sh
assert_eq 'exit status' 3 "$(cat "$T/again.status")"
assert_contains 'the data' "$learned" 'at: \$PWD/data/list, .*options: \[ro\]\}  # .*grep'
assert_contains 'a link' "$learned" 'type: symlink, at: \$PWD/data/alias, source: list\}'
assert_contains 'the program' "$learned" 'at: /usr/bin/sed, .*\[ro\]\}  # .*executed'
assert_contains 'the ELF interpreter' "$learned" 'ld-linux-x86-64'
assert_contains 'the command' "$learned" '^description: .*script.sh'
assert_lacks 'whole trees' "$learned" 'bind, at: (/|/etc|/usr|/home|~|\$PWD),'
(cd "$W" && not_there "$T/script.yaml" "$W/data/unused" /usr/bin/awk /etc/passwd "$HOME/.profile")

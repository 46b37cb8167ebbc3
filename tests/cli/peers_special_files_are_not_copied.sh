#!/bin/bash
# FIFOs and sockets of the lower stay the objects that they are.
. "$(dirname "$0")/../support/lib.sh"
mkfifo "$W/fifo"; perl -MSocket -e "socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un(\$ARGV[0])) or die" "$W/sock"
compare <<'BODY'
set -e
(echo through >fifo) & cat fifo; wait; chmod 600 fifo; stat -c "%F %a" fifo sock; (echo again >fifo) & cat fifo; wait; mv fifo moved; ls -F; rm moved sock; ls
echo x >/dev/null; [ -c /dev/null ] && [ -c /dev/tty ] && echo devices
BODY

#!/usr/bin/env bash
# Sockets that were connected to are listed, and work again.
. "$(dirname "$0")/../support/lib.sh"
. "$support/learn.sh"
needs_view
need python3

mkdir "$W/run"
cat >"$W/server.py" <<'X'
import socket, sys, threading
u = socket.socket(socket.AF_UNIX); u.bind("run/s"); u.listen()
t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen()
open("port", "w").write(str(t.getsockname()[1]))
def serve(s):
    while True:
        c, _ = s.accept(); c.sendall(b"hello\n"); c.close()
threading.Thread(target=serve, args=(u,), daemon=True).start()
serve(t)
X
(cd "$W" && exec python3 server.py) &
server=$!
trap 'kill $server' EXIT
wait_for 20 test -s "$W/port"
cat >"$W/client.py" <<'X'
import socket
u = socket.socket(socket.AF_UNIX); u.connect("run/s"); print(u.recv(10))
t = socket.socket(); t.connect(("127.0.0.1", int(open("port").read()))); print(t.recv(10))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.bind(("127.0.0.1", 0))
b.sendto(b"x", ("127.0.0.1", 9))
X
relearn sockets python3 client.py
port=$(cat "$W/port")
assert_contains 'the UNIX socket' "$learned" 'bind, at: \$PWD/run/s, source: \$PWD/run/s\}  # .*connected'
assert_contains 'the list of UNIX sockets' "$learned" '^#     - \$PWD/run/s$'
assert_contains 'the list of ports' "$learned" "^#     - $port\$"
assert_contains 'TCP' "$learned" "^#   tcp 127\.0\.0\.1 port $port  # python3"
assert_contains 'UDP' "$learned" "^#   udp 127\.0\.0\.1 port 9  # python3"
assert_contains 'bound' "$learned" "^#   udp 127\.0\.0\.1 port 0, bound"
assert_lacks 'nothing enforced is claimed' "$learned" '^cage:'

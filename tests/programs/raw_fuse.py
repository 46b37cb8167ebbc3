#!/usr/bin/env python3
"""A FUSE server without a library: raw_fuse.py MOUNTPOINT [WAIT [SECONDS [LOG]]].

It has the files f0 to f15, and whatever is made. WAIT says how it waits for requests: read, poll,
select or epoll, the last with O_NONBLOCK. Each LOOKUP, READ, WRITE and CREATE takes SECONDS, each in
a thread of its own. LOG gets a line for what ends it. Names that it is asked for make it misbehave:

    garbage  bytes that are no reply come before the reply    short  the reply is too short
    twice    the same reply comes twice                        unknown  one to no request before it
    long     more bytes than the header says                   never  there is none
    wrong    the node is of no type                            fails  an error that is none
    child    a program is run before the reply; also where files are made that are called so

With RAW_OWN in its environment the server has files of its own open.
"""
import ctypes, errno, os, select, struct, subprocess, sys, threading, time

where = sys.argv[1]
how = sys.argv[2] if len(sys.argv) > 2 else "read"
delay = float(sys.argv[3]) if len(sys.argv) > 3 else 0
log = sys.argv[4] if len(sys.argv) > 4 else None
LOOKUP, GETATTR, SETATTR, MKDIR, UNLINK, OPEN, READ, WRITE, STATFS = 1, 3, 4, 9, 10, 14, 15, 16, 17
RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 18, 20, 25, 26, 27, 28, 29
ACCESS, CREATE, INTERRUPT, DESTROY = 34, 35, 36, 38
names = {"f%d" % i: i + 2 for i in range(16)}
data = {i + 2: bytearray(b"content of f%d\n" % i) for i in range(16)}
lock = threading.Lock()


def note(text):
    if log:
        with open(log, "a") as file:
            file.write(text + "\n")


def attr(node, kind=None):
    size = len(data.get(node, b""))
    mode = kind if kind is not None else (0o40755 if node == 1 else 0o100644)
    now = int(time.time())
    return struct.pack("<6Q3I7I", node, size, 1, now, 1000, 1000, 0, 0, 0, mode, 1, os.getuid(),
                       os.getgid(), 0, 4096, 0)


def entry(node, kind=None):
    return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + attr(node, kind)


def attr_out(node):
    return struct.pack("<QII", 0, 0, 0) + attr(node)


def put(packet):
    try:
        os.write(fuse, packet)
    except OSError as error:
        note("write " + errno.errorcode[error.errno])


def reply(unique, body=b"", error=0):
    put(struct.pack("<IiQ", 16 + len(body), -error, unique) + body)


def run_child():
    """A process that has what the server has, and closes it, by exec and by itself."""
    subprocess.run(["/bin/sh", "-c", "exec 9<&-; true"], close_fds=False, check=True)


def have_own():
    """Has files of its own open, which its children get: 9 as it is, another one up to their exec."""
    os.dup2(os.open(where + "/f0", os.O_RDONLY), 9)
    os.open(where + "/f1", os.O_RDWR)
    os.open(where + "/f2", os.O_RDWR)
    note("has its own")


def misbehave(name, unique):
    """The reply to the look-up of a name that asks for it; True: it has been sent."""
    whole = struct.pack("<IiQ", 16 + 128, 0, unique) + entry(2)
    if name == "garbage":
        put(b"\xff" * 7)
        put(b"\xa5" * 100)
    elif name == "unknown":
        put(struct.pack("<IiQ", 16, 0, unique + 1000))
    elif name == "short":
        put(struct.pack("<IiQ", 16 + 8, 0, unique) + b"\0" * 8)
        return True
    elif name == "long":
        put(whole + b"\0" * 100)
        return True
    elif name == "twice":
        put(whole)
        put(whole)
        return True
    elif name == "never":
        return True
    elif name == "wrong":
        reply(unique, entry(2, 0o170000))
        return True
    elif name == "fails":
        reply(unique, error=100000)
        return True
    elif name == "child":
        run_child()
        reply(unique, entry(2))
        return True
    return False


def look_up(unique, node, body):
    name = body[:-1].decode()
    time.sleep(delay)
    if misbehave(name, unique):
        return
    with lock:
        node = names.get(name)
    reply(unique, entry(node)) if node else reply(unique, error=errno.ENOENT)


def create(unique, node, body):
    name = body[16:-1].decode()
    time.sleep(delay)
    if name.startswith("child"):
        run_child()
    with lock:
        node = names[name] = max(data) + 1
        data[node] = bytearray()
    reply(unique, entry(node) + struct.pack("<QII", node, 0, 0))


def read(unique, node, body):
    _, offset, size = struct.unpack_from("<QQI", body)
    time.sleep(delay)
    with lock:
        part = bytes(data[node][offset:offset + size])
    reply(unique, part)


def write(unique, node, body):
    _, offset, size = struct.unpack_from("<QQI", body)
    time.sleep(delay)
    with lock:
        content = data[node]
        content.extend(b"\0" * (offset - len(content)))
        content[offset:offset + size] = body[40:40 + size]
        note("wrote " + bytes(content).decode(errors="replace").strip())
    reply(unique, struct.pack("<II", size, 0))


def set_attr(unique, node, body):
    valid, _, _, size = struct.unpack_from("<IIQQ", body)
    with lock:
        if valid & 8:
            content = data[node]
            content.extend(b"\0" * (size - len(content)))
            del content[size:]
    reply(unique, attr_out(node))


def list_directory(unique, node, body):
    _, offset, _ = struct.unpack_from("<QQI", body)
    out = b""
    with lock:
        for i, (name, node) in enumerate(sorted(names.items())):
            text = name.encode()
            record = struct.pack("<QQII", node, i + 1, len(text), 8) + text
            if i >= offset and len(out) < 3000:
                out += record + b"\0" * (-len(record) % 8)
    reply(unique, out)


def unlink(unique, node, body):
    with lock:
        gone = names.pop(body[:-1].decode(), None)
    reply(unique, error=0 if gone else errno.ENOENT)


def init(unique, node, body):
    reply(unique, struct.pack("<IIIIHHIIHH8I", 7, 31, 65536, 0, 16, 12, 65536, 1, 0, 0, *[0] * 8))


slow = {LOOKUP: look_up, READ: read, WRITE: write, CREATE: create}
quick = {
    INIT: init,
    GETATTR: lambda unique, node, body: reply(unique, attr_out(node)),
    SETATTR: set_attr,
    OPEN: lambda unique, node, body: reply(unique, struct.pack("<QII", node, 0, 0)),
    OPENDIR: lambda unique, node, body: reply(unique, struct.pack("<QII", node, 0, 0)),
    READDIR: list_directory,
    UNLINK: unlink,
    STATFS: lambda unique, node, body: reply(unique, struct.pack(
        "<5Q4I6I", 10**6, 10**6, 10**6, 10**6, 10**6, 4096, 255, 4096, 0, *[0] * 6)),
}


def flush(unique, node, body):
    note("flush %d" % node)
    reply(unique)


quick[FLUSH] = flush
for opcode in (RELEASE, RELEASEDIR, FSYNC, ACCESS, DESTROY):
    quick[opcode] = lambda unique, node, body: reply(unique)


def wait():
    """Until there is a request. What poll(2) and its kin said, when it was no request."""
    if how == "poll":
        poller = select.poll()
        poller.register(fuse, select.POLLIN)
        return [events for _, events in poller.poll()][0] & ~select.POLLIN
    if how == "select":
        select.select([fuse], [], [])
    if how == "epoll":
        return [events for _, events in epoll.poll()][0] & ~select.EPOLLIN
    return 0


def serve():
    said = 0
    while True:
        try:
            said = wait()
            packet = os.read(fuse, 1 << 18)
        except BlockingIOError:
            continue
        except OSError as error:
            return "%s %d" % (errno.errorcode[error.errno], said)
        if not packet:
            return "EOF %d" % said
        _, opcode, unique, node = struct.unpack_from("<IIQQ", packet)
        body = packet[40:]
        if opcode in slow:
            threading.Thread(target=slow[opcode], args=(unique, node, body), daemon=True).start()
        elif opcode in quick:
            quick[opcode](unique, node, body)
        elif opcode not in (2, 42, INTERRUPT):  # FORGET and BATCH_FORGET have no reply either
            reply(unique, error=errno.ENOSYS)


fuse = os.open("/dev/fuse", os.O_RDWR | (os.O_NONBLOCK if how == "epoll" else 0))
if how != "epoll":
    try:
        os.read(fuse, 100000)
        note("before: a packet")
    except OSError as error:
        note("before: " + errno.errorcode[error.errno])
    first = select.poll()
    first.register(fuse, select.POLLIN)
    note("before: poll %d" % first.poll(5000)[0][1])
options = b"fd=%d,rootmode=40000,user_id=%d,group_id=%d" % (fuse, os.getuid(), os.getgid())
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"raw", os.fsencode(where), b"fuse.raw", 0, options) != 0:
    sys.exit("mount: " + os.strerror(ctypes.get_errno()))
if how == "epoll":
    epoll = select.epoll()
    epoll.register(fuse, select.EPOLLIN)
if os.environ.get("RAW_OWN"):
    threading.Thread(target=have_own, daemon=True).start()
end = serve()
note("end: " + end)
sys.exit(0)

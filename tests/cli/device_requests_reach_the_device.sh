#!/bin/bash
# A RAM disk is a block device for who has it open: fstat, ioctl, fsync; reads and writes stay native.
. "$(dirname "$0")/../support/lib.sh"
needs_view
need python3
cd "$W" || exit 1
cat >"$T/p.yaml" <<PROFILE
viewsh: 1
devices:
  - path: /dev/ram7
    type: ram
    size: 1M
  - path: /dev/seeded
    type: random
    seed: 7
PROFILE
cat >"$T/body.py" <<'BODY'
import errno, fcntl, os, stat, struct, sys

def failure(call):
    try:
        call()
    except OSError as e:
        return errno.errorcode[e.errno]
    return "nothing"

fd = os.open("/dev/ram7", os.O_RDWR)
by_path, by_fd = os.stat("/dev/ram7"), os.fstat(fd)
print(stat.S_ISBLK(by_fd.st_mode), by_fd.st_rdev == by_path.st_rdev, by_fd.st_ino == by_path.st_ino,
      by_fd.st_dev == by_path.st_dev, by_fd.st_size, os.major(by_fd.st_rdev), os.minor(by_fd.st_rdev))
BLKROGET, BLKGETSIZE, BLKFLSBUF, BLKSSZGET = 0x125E, 0x1260, 0x1261, 0x1268
BLKGETSIZE64 = 0x80081272
print(struct.unpack("Q", fcntl.ioctl(fd, BLKGETSIZE64, b"\0" * 8))[0])
print(struct.unpack("L", fcntl.ioctl(fd, BLKGETSIZE, b"\0" * 8))[0])
# An int: what lies behind it stays.
print(fcntl.ioctl(fd, BLKSSZGET, struct.pack("iI", -1, 0xdeadbeef)) == struct.pack("iI", 512, 0xdeadbeef))
print(struct.unpack("i", fcntl.ioctl(fd, BLKROGET, b"\0" * 4))[0], fcntl.ioctl(fd, BLKFLSBUF, 0))
print(failure(lambda: fcntl.ioctl(fd, 0x5401, b"\0" * 64)), os.isatty(fd))
copy = os.dup(fd)
print(struct.unpack("Q", fcntl.ioctl(copy, BLKGETSIZE64, b"\0" * 8))[0])
os.pwrite(fd, b"sector", 512)
other = os.open("/dev/ram7", os.O_RDONLY)
print(os.pread(other, 6, 512).decode(), os.lseek(fd, 0, os.SEEK_END))
os.set_inheritable(fd, False)
fcntl.ioctl(fd, 0x5450)  # FIONCLEX is of the descriptor
print(os.get_inheritable(fd))
random = os.open("/dev/seeded", os.O_RDONLY)
print(stat.S_ISCHR(os.fstat(random).st_mode), len(os.read(random, 16)))
# What is no device of the view is asked as ever.
r, w = os.pipe()
os.write(w, b"12345")
print(struct.unpack("i", fcntl.ioctl(r, 0x541B, b"\0" * 4))[0], stat.S_ISFIFO(os.fstat(r).st_mode))
plain = os.open("plain", os.O_RDWR | os.O_CREAT)
print(failure(lambda: fcntl.ioctl(plain, BLKGETSIZE64, b"\0" * 8)), stat.S_ISREG(os.fstat(plain).st_mode))
null = os.open("/dev/null", os.O_RDWR)
print(stat.S_ISCHR(os.fstat(null).st_mode))
BODY
got=$("$VIEWSH" run -p "$T/p.yaml" -- python3 "$T/body.py")
assert_eq "answers" "True True True True 0 1 7
1048576
2048
True
0 0
ENOTTY False
1048576
sector 1048576
True
True 16
5 True
ENOTTY True
True" "$got"

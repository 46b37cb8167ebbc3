#!/usr/bin/python3
"""A directory shown elsewhere, by python3-pyfuse3, whose interface is the low-level one: nodes, not
paths. pyfuse3_mirror.py DIR MOUNTPOINT."""
import errno
import os
import sys

import pyfuse3  # pylint: disable=import-error
import trio  # pylint: disable=import-error


def answers(call):
    """What the system says is what the caller is told."""

    async def run(*args):
        try:
            return await call(*args)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from None

    return run


class Mirror(pyfuse3.Operations):
    """Nodes are known by inode number, and found by their names."""

    def __init__(self, root):
        super().__init__()
        self.names = {pyfuse3.ROOT_INODE: {os.path.realpath(os.fsencode(root))}}
        self.lookups = {}

    def path(self, node):
        for name in self.names.get(node, ()):
            return name
        raise pyfuse3.FUSEError(errno.ESTALE)

    def entry(self, path=None, fd=None):
        st = os.fstat(fd) if fd is not None else os.lstat(path)
        out = pyfuse3.EntryAttributes()
        for key in ("mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks"):
            setattr(out, "st_" + key, getattr(st, "st_" + key))
        for key in ("atime", "mtime", "ctime"):
            setattr(out, f"st_{key}_ns", getattr(st, f"st_{key}_ns"))
        out.st_ino = st.st_ino
        out.attr_timeout = out.entry_timeout = 1
        return out

    def child(self, path):
        """One look-up more of what is there."""
        out = self.entry(path)
        self.names.setdefault(out.st_ino, set()).add(path)
        self.lookups[out.st_ino] = self.lookups.get(out.st_ino, 0) + 1
        return out

    def gone(self, path):
        for names in self.names.values():
            names.discard(path)

    def join(self, parent, name):
        return os.path.join(self.path(parent), name)

    async def forget(self, inode_list):
        for node, count in inode_list:
            self.lookups[node] = self.lookups.get(node, 0) - count
            if self.lookups[node] <= 0:
                self.lookups.pop(node)
                self.names.pop(node, None)

    @answers
    async def lookup(self, parent, name, ctx):
        return self.child(self.join(parent, name))

    @answers
    async def getattr(self, node, ctx):
        out = self.entry(self.path(node))
        out.st_ino = node
        return out

    @answers
    async def setattr(self, node, attr, fields, fh, ctx):
        path = self.path(node)
        if fields.update_size:
            os.truncate(path if fh is None else fh, attr.st_size)
        if fields.update_mode:
            os.chmod(path, attr.st_mode & 0o7777)
        if fields.update_uid or fields.update_gid:
            uid = attr.st_uid if fields.update_uid else -1
            gid = attr.st_gid if fields.update_gid else -1
            os.chown(path, uid, gid, follow_symlinks=False)
        if fields.update_atime or fields.update_mtime:
            now = os.lstat(path)
            atime = attr.st_atime_ns if fields.update_atime else now.st_atime_ns
            mtime = attr.st_mtime_ns if fields.update_mtime else now.st_mtime_ns
            os.utime(path, ns=(atime, mtime), follow_symlinks=False)
        return await self.getattr(node, ctx)

    @answers
    async def readlink(self, node, ctx):
        return os.readlink(self.path(node))

    async def opendir(self, node, ctx):
        return node

    @answers
    async def readdir(self, node, start, token):
        path = self.path(node)
        known = sorted((os.lstat(os.path.join(path, name)).st_ino, name) for name in os.listdir(path))
        for ino, name in known:
            if ino <= start:
                continue
            out = self.child(os.path.join(path, name))
            if not pyfuse3.readdir_reply(token, name, out, ino):
                self.lookups[ino] -= 1
                break

    @answers
    async def mkdir(self, parent, name, mode, ctx):
        path = self.join(parent, name)
        os.mkdir(path, mode & ~ctx.umask)
        return self.child(path)

    @answers
    async def symlink(self, parent, name, target, ctx):
        path = self.join(parent, name)
        os.symlink(target, path)
        return self.child(path)

    @answers
    async def link(self, node, parent, name, ctx):
        path = self.join(parent, name)
        os.link(self.path(node), path, follow_symlinks=False)
        return self.child(path)

    @answers
    async def unlink(self, parent, name, ctx):
        path = self.join(parent, name)
        os.unlink(path)
        self.gone(path)

    @answers
    async def rmdir(self, parent, name, ctx):
        path = self.join(parent, name)
        os.rmdir(path)
        self.gone(path)

    @answers
    async def rename(self, parent, name, new_parent, new_name, flags, ctx):
        if flags != 0:
            raise pyfuse3.FUSEError(errno.EINVAL)
        old, new = self.join(parent, name), self.join(new_parent, new_name)
        os.rename(old, new)
        self.gone(new)
        for names in self.names.values():
            for path in [one for one in names if one == old or one.startswith(old + b"/")]:
                names.remove(path)
                names.add(new + path[len(old):])

    @answers
    async def open(self, node, flags, ctx):
        return pyfuse3.FileInfo(fh=os.open(self.path(node), flags & ~os.O_CREAT))

    @answers
    async def create(self, parent, name, mode, flags, ctx):
        path = self.join(parent, name)
        fd = os.open(path, flags | os.O_CREAT, mode & ~ctx.umask)
        return pyfuse3.FileInfo(fh=fd), self.child(path)

    @answers
    async def read(self, fh, offset, size):
        return os.pread(fh, size, offset)

    @answers
    async def write(self, fh, offset, data):
        return os.pwrite(fh, data, offset)

    @answers
    async def release(self, fh):
        os.close(fh)

    @answers
    async def statfs(self, ctx):
        st = os.statvfs(self.path(pyfuse3.ROOT_INODE))
        out = pyfuse3.StatvfsData()
        for key in ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "namemax"):
            setattr(out, "f_" + key, getattr(st, "f_" + key))
        return out


os.umask(0)
pyfuse3.init(Mirror(sys.argv[1]), sys.argv[2], {"fsname=mirror"})
try:
    trio.run(pyfuse3.main)
finally:
    pyfuse3.close()

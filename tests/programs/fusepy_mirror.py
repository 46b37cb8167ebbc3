#!/usr/bin/python3
"""A directory shown elsewhere, by python3-fusepy: fusepy_mirror.py DIR MOUNTPOINT."""
import os
import sys

from fusepy import FUSE, FuseOSError, Operations  # pylint: disable=import-error


class Mirror(Operations):
    def __init__(self, root):
        self.root = os.path.realpath(root)

    def __call__(self, op, path, *args):
        return super().__call__(op, self.root + path, *args)

    def getattr(self, path, fh=None):
        st = os.lstat(path)
        keys = ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")
        return {key: getattr(st, key) for key in keys}

    def access(self, path, amode):
        if not os.access(path, amode):
            raise FuseOSError(13)

    def readdir(self, path, fh):
        return [".", ".."] + os.listdir(path)

    def readlink(self, path):
        return os.readlink(path)

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)

    def open(self, path, flags):
        return os.open(path, flags)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    def release(self, path, fh):
        os.close(fh)

    def symlink(self, target, source):
        os.symlink(source, target)

    def rename(self, old, new):
        os.rename(old, self.root + new)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def unlink(self, path):
        os.unlink(path)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        os.lchown(path, uid, gid)

    def utimens(self, path, times=None):
        os.utime(path, times, follow_symlinks=False)

    def statfs(self, path):
        st = os.statvfs(path)
        keys = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_namemax")
        return {key: getattr(st, key) for key in keys}


FUSE(Mirror(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True)

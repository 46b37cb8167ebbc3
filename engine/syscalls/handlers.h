#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include "syscalls/call.h"

namespace viewsh {

// stat: what a node is. stat(2), statx(2), access(2), readlink(2), statfs(2)
Outcome sys_stat(Call& call, UserPath path, Addr<struct stat> out);
Outcome sys_lstat(Call& call, UserPath path, Addr<struct stat> out);
Outcome sys_fstat(Call& call, Fd fd, Addr<struct stat> out);
Outcome sys_newfstatat(Call& call, DirFd dir, OptionalPath given, Addr<struct stat> out,
                       Flags flags);
Outcome sys_statx(Call& call, DirFd dir, OptionalPath given, Flags flags, Flags mask,
                  Addr<Attr> out);
Outcome sys_access(Call& call, UserPath path, Flags mode);
Outcome sys_faccessat(Call& call, DirFd dir, UserPath path, Flags mode);
Outcome sys_faccessat2(Call& call, DirFd dir, UserPath path, Flags mode, Flags flags);
Outcome sys_readlink(Call& call, UserPath path, Addr<char> buffer, int size);
Outcome sys_readlinkat(Call& call, DirFd dir, UserPath path, Addr<char> buffer, int size);
Outcome sys_statfs(Call& call, UserPath path, Addr<struct statfs> out);
Outcome sys_fstatfs(Call& call, Fd fd, Addr<struct statfs> out);
Outcome sys_name_to_handle_at(Call& call, DirFd dir, UserPath path, uint64_t handle,
                              uint64_t mount_id, Flags flags);

// open: open(2), openat2(2), creat(2)
Outcome sys_open(Call& call, UserPath path, Flags flags, Mode mode);
Outcome sys_openat(Call& call, DirFd dir, UserPath path, Flags flags, Mode mode);
Outcome sys_openat2(Call& call, DirFd dir, Addr<char> path, Addr<open_how> how, size_t size);
Outcome sys_creat(Call& call, UserPath path, Mode mode);

// identity: who a process is. getuid(2), setuid(2), getgroups(2) and their kin; credentials(7)
Outcome sys_getuid(Call& call);
Outcome sys_geteuid(Call& call);
Outcome sys_getgid(Call& call);
Outcome sys_getegid(Call& call);
Outcome sys_getresuid(Call& call, Addr<uid_t> real, Addr<uid_t> effective, Addr<uid_t> saved);
Outcome sys_getresgid(Call& call, Addr<gid_t> real, Addr<gid_t> effective, Addr<gid_t> saved);
Outcome sys_getgroups(Call& call, int size, Addr<gid_t> list);
Outcome sys_setuid(Call& call, uid_t uid);
Outcome sys_setgid(Call& call, gid_t gid);
Outcome sys_setreuid(Call& call, uid_t real, uid_t effective);
Outcome sys_setregid(Call& call, gid_t real, gid_t effective);
Outcome sys_setresuid(Call& call, uid_t real, uid_t effective, uid_t saved);
Outcome sys_setresgid(Call& call, gid_t real, gid_t effective, gid_t saved);
Outcome sys_setfsuid(Call& call, uid_t uid);
Outcome sys_setfsgid(Call& call, gid_t gid);
Outcome sys_setgroups(Call& call, int count, Addr<gid_t> list);

// namei: names come and go. mkdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2)
Outcome sys_mkdir(Call& call, UserPath path, Mode mode);
Outcome sys_mkdirat(Call& call, DirFd dir, UserPath path, Mode mode);
Outcome sys_mknod(Call& call, UserPath path, Mode mode, unsigned dev);
Outcome sys_mknodat(Call& call, DirFd dir, UserPath path, Mode mode, unsigned dev);
Outcome sys_rmdir(Call& call, UserPath path);
Outcome sys_unlink(Call& call, UserPath path);
Outcome sys_unlinkat(Call& call, DirFd dir, UserPath path, Flags flags);
Outcome sys_rename(Call& call, UserPath from, UserPath to);
Outcome sys_renameat(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to);
Outcome sys_renameat2(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to,
                      Flags flags);
Outcome sys_link(Call& call, UserPath from, UserPath to);
Outcome sys_linkat(Call& call, DirFd from_dir, UserPath from, DirFd to_dir, UserPath to,
                   Flags flags);
Outcome sys_symlink(Call& call, UserPath target, UserPath path);
Outcome sys_symlinkat(Call& call, UserPath target, DirFd dir, UserPath path);

// meta: attributes change. chmod(2), chown(2), utimensat(2), truncate(2), setxattr(2)
Outcome sys_chmod(Call& call, UserPath path, Mode mode);
Outcome sys_fchmod(Call& call, Fd fd, Mode mode);
Outcome sys_fchmodat(Call& call, DirFd dir, UserPath path, Mode mode);
Outcome sys_fchmodat2(Call& call, DirFd dir, UserPath path, Mode mode, Flags flags);
Outcome sys_chown(Call& call, UserPath path, uid_t uid, gid_t gid);
Outcome sys_lchown(Call& call, UserPath path, uid_t uid, gid_t gid);
Outcome sys_fchown(Call& call, Fd fd, uid_t uid, gid_t gid);
Outcome sys_fchownat(Call& call, DirFd dir, UserPath path, uid_t uid, gid_t gid, Flags flags);
Outcome sys_utime(Call& call, UserPath path, Addr<utimbuf> times);
Outcome sys_utimes(Call& call, UserPath path, Addr<timeval> times);
Outcome sys_futimesat(Call& call, DirFd dir, OptionalPath path, Addr<timeval> times);
Outcome sys_utimensat(Call& call, DirFd dir, OptionalPath path, Addr<timespec> times, Flags flags);
Outcome sys_truncate(Call& call, UserPath path, int64_t size);
Outcome sys_setxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size,
                     Flags flags);
Outcome sys_lsetxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size,
                      Flags flags);
Outcome sys_fsetxattr(Call& call, Fd fd, Addr<char> name, Addr<char> value, size_t size,
                      Flags flags);
Outcome sys_removexattr(Call& call, UserPath path, Addr<char> name);
Outcome sys_lremovexattr(Call& call, UserPath path, Addr<char> name);
Outcome sys_fremovexattr(Call& call, Fd fd, Addr<char> name);
Outcome sys_getxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size);
Outcome sys_lgetxattr(Call& call, UserPath path, Addr<char> name, Addr<char> value, size_t size);
Outcome sys_listxattr(Call& call, UserPath path, Addr<char> list, size_t size);
Outcome sys_llistxattr(Call& call, UserPath path, Addr<char> list, size_t size);
Outcome sys_setxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name,
                       Addr<char> uargs, size_t size);
Outcome sys_getxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name,
                       Addr<char> uargs, size_t size);
Outcome sys_listxattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> list,
                        size_t size);
Outcome sys_removexattrat(Call& call, DirFd dir, OptionalPath path, Flags flags, Addr<char> name);
Outcome sys_file_getattr(Call& call, DirFd dir, OptionalPath path, uint64_t at, uint64_t size,
                         Flags flags);
Outcome sys_file_setattr(Call& call, DirFd dir, OptionalPath path, uint64_t at, uint64_t size,
                         Flags flags);
Outcome sys_ioctl(Call& call, Fd fd, unsigned request, uint64_t argument);
Outcome sys_fgetxattr(Call& call, Fd fd, Addr<char> name, Addr<char> value, size_t size);
Outcome sys_flistxattr(Call& call, Fd fd, Addr<char> list, size_t size);

// dir: chdir(2), getcwd(2), getdents64(2)
Outcome sys_chdir(Call& call, UserPath path);
Outcome sys_chroot(Call& call, UserPath path);
Outcome sys_fchdir(Call& call, Fd fd);
Outcome sys_getcwd(Call& call, Addr<char> buffer, size_t size);
Outcome sys_getdents64(Call& call, Fd fd, Addr<char> buffer, unsigned size);
Outcome sys_getdents(Call& call, Fd fd, Addr<char> buffer, unsigned size);

// exec: execve(2)
Outcome sys_execve(Call& call, UserPath path, uint64_t argv, uint64_t envp);
Outcome sys_execveat(Call& call, DirFd dir, UserPath path, uint64_t argv, uint64_t envp,
                     Flags flags);

// process and the rest
Outcome sys_umask(Call& call, Mode mask);
Outcome sys_unshare(Call& call, uint64_t flags);
Outcome sys_setns(Call& call, Fd fd, int type);
Outcome sys_affinity(Call& call, pid_t tid);
Outcome sys_prctl(Call& call, int option, uint64_t value, uint64_t third);
Outcome sys_ptrace(Call& call, long request);
Outcome sys_seccomp(Call& call, unsigned operation, Flags flags, uint64_t program);
Outcome sys_clone(Call& call, uint64_t flags);
Outcome sys_denied(Call& call);
Outcome sys_inotify_add_watch(Call& call, Fd fd, UserPath path, Flags mask);
Outcome sys_fanotify_mark(Call& call, Fd fd, Flags flags, uint64_t mask, DirFd dir,
                          OptionalPath path);

// mount: the mount table changes. mount(2), umount2(2)
Outcome sys_mount(Call& call, OptionalPath source, UserPath target, OptionalPath type,
                  uint64_t flags, uint64_t data);
Outcome sys_umount2(Call& call, UserPath target, Flags flags);

// socket: names of AF_UNIX sockets. bind(2), connect(2), sendmsg(2), getsockname(2)
Outcome sys_bind(Call& call, Fd fd, Addr<char> address, unsigned length);
Outcome sys_connect(Call& call, Fd fd, Addr<char> address, unsigned length);
Outcome sys_sendto(Call& call, Fd fd, Addr<char> data, size_t size, Flags flags, Addr<char> address,
                   unsigned length);
Outcome sys_sendmsg(Call& call, Fd fd, Addr<char> message, Flags flags);
Outcome sys_sendmmsg(Call& call, Fd fd, Addr<char> vector, unsigned count, Flags flags);
Outcome sys_getsockname(Call& call, Fd fd, Addr<char> address, Addr<unsigned> length);
Outcome sys_getpeername(Call& call, Fd fd, Addr<char> address, Addr<unsigned> length);
Outcome sys_accept(Call& call, Fd fd, Addr<char> address, Addr<unsigned> length);
Outcome sys_recvfrom(Call& call, Fd fd, Addr<char> data, size_t size, Flags flags,
                     Addr<char> address, Addr<unsigned> length);

// close: descriptors of file systems that hear of it. close(2), dup2(2), close_range(2)
Outcome sys_close(Call& call, Fd fd);
Outcome sys_dup2(Call& call, Fd from, Fd to);
Outcome sys_close_range(Call& call, unsigned first, unsigned last, Flags flags);
Outcome sys_exit(Call& call);
Outcome sys_exit_group(Call& call);
/// A FUSE server has to write its replies: vmsplice(2) is refused.
Outcome sys_vmsplice(Call& call);

// sync: what has to be on disk. fsync(2), syncfs(2), msync(2)
Outcome sys_fsync(Call& call, Fd fd);
Outcome sys_mmap(Call& call, uint64_t address, size_t size, int protection, Flags flags, Fd fd);
Outcome sys_io_submit(Call& call, uint64_t context, int64_t count, Addr<uint64_t> requests);
Outcome sys_sync(Call& call);
Outcome sys_syncfs(Call& call, Fd fd);
Outcome sys_msync(Call& call, uint64_t address, uint64_t size, Flags flags);
/// pwritev2(2): with RWF_DSYNC or RWF_SYNC, and within the limit of a file system.

// quota: writes to a file system with a size limit
Outcome sys_quota_write(Call& call, Fd fd, uint64_t buffer, uint64_t size);
Outcome sys_quota_pwrite(Call& call, Fd fd, uint64_t buffer, uint64_t size, uint64_t offset);
Outcome sys_quota_writev(Call& call, Fd fd, uint64_t vector, int count);
Outcome sys_quota_pwritev(Call& call, Fd fd, uint64_t vector, int count, uint64_t offset);
Outcome sys_pwritev2(Call& call, Fd fd, uint64_t vector, int count, uint64_t offset, uint64_t high,
                     Flags flags);
Outcome sys_quota_sendfile(Call& call, Fd to, Fd from, uint64_t offset, uint64_t size);
Outcome sys_quota_copy(Call& call, Fd from, uint64_t from_offset, Fd to, uint64_t to_offset,
                       uint64_t size);
Outcome sys_ftruncate(Call& call, Fd fd, int64_t size);
Outcome sys_quota_fallocate(Call& call, Fd fd, Flags mode, int64_t offset, int64_t size);

}  // namespace viewsh

// A FUSE server that shows a directory: fuse_mirror SOURCE MOUNTPOINT [OPTION...]. Its high-level
// interface of libfuse is that of most servers. With MIRROR_LACKS=name,... it lacks these
// operations; MIRROR_LOG=FILE gets a line for each flush, release and for the end. What changes a
// name "hang" waits until there is a file "go" in the source, or it is interrupted (MIRROR_HANGS).
// With MIRROR_DELAY=N each look and change of a name takes up to N ms.
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::string source;

std::string at(const char* path) { return source + path; }
int result(long rc) { return rc < 0 ? -errno : 0; }
int count(ssize_t rc) { return rc < 0 ? -errno : static_cast<int>(rc); }
int handle(const fuse_file_info* info) { return static_cast<int>(info->fh); }

void take_time() {
  thread_local unsigned seed = static_cast<unsigned>(gettid());
  static const char* most = getenv("MIRROR_DELAY");
  if (most != nullptr) usleep(static_cast<useconds_t>(rand_r(&seed)) % (1000 * atoi(most) + 1));
}

/// What a change of this name comes to before it is made. EINTR.
int hang(const char* path) {
  take_time();
  static const bool hangs = getenv("MIRROR_HANGS") != nullptr;
  const char* slash = strrchr(path, '/');
  if (!hangs || slash == nullptr || strcmp(slash, "/hang") != 0) return 0;
  while (access(at("/go").c_str(), F_OK) != 0) {
    if (fuse_interrupted() != 0) return -EINTR;
    usleep(10'000);
  }
  return 0;
}

/// The same, and then it is made.
template <typename Change>
int changed(const char* path, Change&& change) {
  const int waited = hang(path);
  return waited != 0 ? waited : result(change());
}

void* mirror_init(fuse_conn_info* connection, fuse_config* config) {
  if (getenv("MIRROR_SPLICE") != nullptr) {
    constexpr unsigned kSplice =
        FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
    connection->want |= connection->capable & kSplice;
  }
  config->use_ino = 1;
  config->hard_remove = getenv("MIRROR_HARD_REMOVE") != nullptr;
  if (getenv("MIRROR_NO_CACHE") != nullptr) {
    config->entry_timeout = 0;
    config->attr_timeout = 0;
    config->negative_timeout = 0;
  }
  return nullptr;
}

int mirror_getattr(const char* path, struct stat* st, fuse_file_info* info) {
  take_time();
  if (info != nullptr) return result(fstat(handle(info), st));
  return result(lstat(at(path).c_str(), st));
}

int mirror_readlink(const char* path, char* text, size_t size) {
  const ssize_t got = readlink(at(path).c_str(), text, size - 1);
  if (got < 0) return -errno;
  text[got] = '\0';
  return 0;
}

int mirror_mknod(const char* path, mode_t mode, dev_t dev) {
  return changed(path, [&] { return mknod(at(path).c_str(), mode, dev); });
}
int mirror_mkdir(const char* path, mode_t mode) {
  return changed(path, [&] { return mkdir(at(path).c_str(), mode); });
}
int mirror_symlink(const char* target, const char* path) {
  return changed(path, [&] { return symlink(target, at(path).c_str()); });
}
int mirror_unlink(const char* path) {
  return changed(path, [&] { return unlink(at(path).c_str()); });
}
int mirror_rmdir(const char* path) {
  return changed(path, [&] { return rmdir(at(path).c_str()); });
}
int mirror_rename(const char* from, const char* to, unsigned flags) {
  return changed(
      to, [&] { return renameat2(AT_FDCWD, at(from).c_str(), AT_FDCWD, at(to).c_str(), flags); });
}
int mirror_link(const char* from, const char* to) {
  return changed(to, [&] { return link(at(from).c_str(), at(to).c_str()); });
}

int mirror_chmod(const char* path, mode_t mode, fuse_file_info* info) {
  if (info != nullptr) return result(fchmod(handle(info), mode));
  return changed(path, [&] { return fchmodat(AT_FDCWD, at(path).c_str(), mode, 0); });
}
int mirror_chown(const char* path, uid_t uid, gid_t gid, fuse_file_info* info) {
  if (info != nullptr) return result(fchown(handle(info), uid, gid));
  return result(lchown(at(path).c_str(), uid, gid));
}
int mirror_truncate(const char* path, off_t size, fuse_file_info* info) {
  if (info != nullptr) return result(ftruncate(handle(info), size));
  return result(truncate(at(path).c_str(), size));
}
int mirror_utimens(const char* path, const timespec times[2], fuse_file_info* info) {
  if (info != nullptr) return result(futimens(handle(info), times));
  return result(utimensat(AT_FDCWD, at(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int mirror_open(const char* path, fuse_file_info* info) {
  const int fd = open(at(path).c_str(), info->flags);
  if (fd < 0) return -errno;
  info->fh = static_cast<uint64_t>(fd);
  info->direct_io = getenv("MIRROR_DIRECT_IO") != nullptr;
  return 0;
}
int mirror_create(const char* path, mode_t mode, fuse_file_info* info) {
  if (const int waited = hang(path); waited != 0) return waited;
  const int fd = open(at(path).c_str(), info->flags | O_CREAT, mode);
  if (fd < 0) return -errno;
  info->fh = static_cast<uint64_t>(fd);
  return 0;
}
/// A line in the file MIRROR_LOG. What has no name any more has no path.
void note(const char* what, const char* path) {
  const char* log = getenv("MIRROR_LOG");
  if (log == nullptr) return;
  const std::string line = std::string(what) + " " + (path != nullptr ? path : "-") + "\n";
  const int fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0 && write(fd, line.data(), line.size()) < 0) perror("fuse_mirror: log");
  if (fd >= 0) close(fd);
}
void mirror_destroy(void*) { note("destroy", "/"); }

int mirror_release(const char* path, fuse_file_info* info) {
  note("release", path);
  close(handle(info));
  return 0;
}
/// What is called "quota" has no room when it is closed, as on NFS.
int mirror_flush(const char* path, fuse_file_info* info) {
  note("flush", path);
  if (path != nullptr && strcmp(path, "/quota") == 0) return -EDQUOT;
  return result(close(dup(handle(info))));
}
int mirror_fsync(const char*, int data, fuse_file_info* info) {
  return result(data != 0 ? fdatasync(handle(info)) : fsync(handle(info)));
}
int mirror_read(const char*, char* to, size_t size, off_t offset, fuse_file_info* info) {
  return count(pread(handle(info), to, size, offset));
}
int mirror_write(const char*, const char* from, size_t size, off_t offset, fuse_file_info* info) {
  return count(pwrite(handle(info), from, size, offset));
}
/// With these libfuse moves data by splice(2) where it can.
int mirror_read_buf(const char*, fuse_bufvec** to, size_t size, off_t offset,
                    fuse_file_info* info) {
  auto* buffer = static_cast<fuse_bufvec*>(calloc(1, sizeof(fuse_bufvec)));
  if (buffer == nullptr) return -ENOMEM;
  buffer->count = 1;
  buffer->buf[0].size = size;
  buffer->buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  buffer->buf[0].fd = handle(info);
  buffer->buf[0].pos = offset;
  *to = buffer;
  return 0;
}
int mirror_write_buf(const char*, fuse_bufvec* from, off_t offset, fuse_file_info* info) {
  fuse_bufvec to = {};
  to.count = 1;
  to.buf[0].size = fuse_buf_size(from);
  to.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  to.buf[0].fd = handle(info);
  to.buf[0].pos = offset;
  return static_cast<int>(fuse_buf_copy(&to, from, FUSE_BUF_SPLICE_NONBLOCK));
}
int mirror_fallocate(const char*, int mode, off_t offset, off_t size, fuse_file_info* info) {
  return result(fallocate(handle(info), mode, offset, size));
}
off_t mirror_lseek(const char*, off_t offset, int whence, fuse_file_info* info) {
  const off_t at = lseek(handle(info), offset, whence);
  return at < 0 ? -errno : at;
}

int mirror_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
                   fuse_readdir_flags flags) {
  DIR* dir = opendir(at(path).c_str());
  if (dir == nullptr) return -errno;
  const bool plus = (flags & FUSE_READDIR_PLUS) != 0;
  while (const dirent* entry = readdir(dir)) {
    struct stat st = {};
    st.st_ino = entry->d_ino;
    st.st_mode = static_cast<mode_t>(entry->d_type << 12);
    const bool all = plus && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    fill(buffer, entry->d_name, &st, 0, all ? FUSE_FILL_DIR_PLUS : fuse_fill_dir_flags{});
  }
  closedir(dir);
  return 0;
}

int mirror_statfs(const char* path, struct statvfs* st) {
  return result(statvfs(at(path).c_str(), st));
}
int mirror_access(const char* path, int mask) { return result(access(at(path).c_str(), mask)); }
int mirror_setxattr(const char* path, const char* name, const char* value, size_t size, int flags) {
  return result(lsetxattr(at(path).c_str(), name, value, size, flags));
}
int mirror_getxattr(const char* path, const char* name, char* value, size_t size) {
  return count(lgetxattr(at(path).c_str(), name, value, size));
}
int mirror_listxattr(const char* path, char* list, size_t size) {
  return count(llistxattr(at(path).c_str(), list, size));
}
int mirror_removexattr(const char* path, const char* name) {
  return result(lremovexattr(at(path).c_str(), name));
}

fuse_operations operations() {
  fuse_operations all = {};
  all.init = mirror_init;
  all.getattr = mirror_getattr;
  all.readlink = mirror_readlink;
  all.mknod = mirror_mknod;
  all.mkdir = mirror_mkdir;
  all.symlink = mirror_symlink;
  all.unlink = mirror_unlink;
  all.rmdir = mirror_rmdir;
  all.rename = mirror_rename;
  all.link = mirror_link;
  all.chmod = mirror_chmod;
  all.chown = mirror_chown;
  all.truncate = mirror_truncate;
  all.utimens = mirror_utimens;
  all.open = mirror_open;
  all.create = mirror_create;
  all.release = mirror_release;
  all.flush = mirror_flush;
  all.fsync = mirror_fsync;
  all.destroy = mirror_destroy;
  all.read = mirror_read;
  all.write = mirror_write;
  all.readdir = mirror_readdir;
  all.statfs = mirror_statfs;
  all.access = mirror_access;
  all.setxattr = mirror_setxattr;
  all.getxattr = mirror_getxattr;
  all.listxattr = mirror_listxattr;
  all.removexattr = mirror_removexattr;
  all.fallocate = mirror_fallocate;
  all.lseek = mirror_lseek;
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: fuse_mirror SOURCE MOUNTPOINT [OPTION...]\n");
    return 2;
  }
  source = argv[1];
  umask(0);
  std::vector<char*> args = {argv[0]};
  for (int i = 2; i < argc; ++i) args.push_back(argv[i]);
  fuse_operations all = operations();
  if (getenv("MIRROR_BUFFERS") != nullptr) {
    all.read_buf = mirror_read_buf;
    all.write_buf = mirror_write_buf;
  }
  if (const char* lacks = getenv("MIRROR_LACKS"); lacks != nullptr) {
    const std::string list = std::string(",") + lacks + ",";
    const auto without = [&](const char* name) { return list.find(name) != std::string::npos; };
    if (without(",create,")) all.create = nullptr;
    if (without(",flush,")) all.flush = nullptr;
    if (without(",fsync,")) all.fsync = nullptr;
    if (without(",xattr,")) {
      all.setxattr = nullptr;
      all.getxattr = nullptr;
      all.listxattr = nullptr;
      all.removexattr = nullptr;
    }
    if (without(",fallocate,")) all.fallocate = nullptr;
    if (without(",lseek,")) all.lseek = nullptr;
    if (without(",access,")) all.access = nullptr;
    if (without(",statfs,")) all.statfs = nullptr;
  }
  return fuse_main(static_cast<int>(args.size()), args.data(), &all, nullptr);
}

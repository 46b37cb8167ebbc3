// Requests about open files and directories.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "outside/fuse/requests.h"

namespace viewsh {
namespace {

ServedFile* file_of(const fuse_file_info* fi) { return reinterpret_cast<ServedFile*>(fi->fh); }

/// A file that is open: its cached pages stay as long as its times do.
void open_as(ServedFile* file, fuse_file_info* fi) {
  fi->fh = reinterpret_cast<uint64_t>(file);
  fi->keep_cache = 1;
}

void do_open(fuse_req_t req, fuse_ino_t node, fuse_file_info* fi) {
  ServedTree& tree = tree_of(req);
  const Result<ServedFile*> file = tree.open(node, fi->flags);
  if (!file) return reply(req, file.error());
  open_as(*file, fi);
  if (fuse_reply_open(req, fi) == -ENOENT) tree.close(*file);
}

void do_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* fi) {
  ServedTree& tree = tree_of(req);
  ServedFile* file = nullptr;
  const Result<ServedEntry> entry = tree.create(parent, name, fi->flags | O_CREAT, mode, &file);
  if (!entry) return reply(req, entry.error());
  open_as(file, fi);
  const fuse_entry_param out = to_entry(*entry);
  if (fuse_reply_create(req, &out, fi) != -ENOENT) return;
  tree.close(file);
  tree.forget(entry->id, 1);
}

void do_release(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  tree_of(req).close(file_of(fi));
  fuse_reply_err(req, 0);
}

void do_read(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  const std::unique_ptr<char[]> buffer(new char[size]);
  size_t got = 0;
  // A short answer means the end of the file.
  while (got < size) {
    const ssize_t n =
        pread(file_of(fi)->fd(), buffer.get() + got, size - got, offset + static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return reply(req, Errno::last());
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  fuse_reply_buf(req, buffer.get(), got);
}

ssize_t write_to(const ServedFile& file, bool append, const char* data, size_t size, off_t offset) {
  if (append) {
    iovec part{const_cast<char*>(data), size};
    const ssize_t n = pwritev2(file.fd(), &part, 1, offset, RWF_APPEND);
    if (n >= 0 || errno != EOPNOTSUPP) return n;
  }
  return pwrite(file.fd(), data, size, offset);
}

void do_write(fuse_req_t req, fuse_ino_t, const char* data, size_t size, off_t offset,
              fuse_file_info* fi) {
  const ServedFile& file = *file_of(fi);
  const Result<uint64_t> allowed = tree_of(req).reserve(file_of(fi), size);
  if (!allowed) return reply(req, allowed.error());
  // Pages that were written by a mapping belong where they are.
  const bool append = file.appends() && fi->writepage == 0;
  size_t done = 0;
  while (done < *allowed) {
    const ssize_t n =
        write_to(file, append, data + done, *allowed - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done == 0) return reply(req, Errno::last());
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  fuse_reply_write(req, done);
}

void do_fsync(fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* fi) {
  reply(req, tree_of(req).sync(file_of(fi), data_only != 0));
}

void do_fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t offset, off_t length,
                  fuse_file_info* fi) {
  constexpr int kFrees = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE;
  if ((mode & kFrees) == 0) {
    const auto wanted = static_cast<uint64_t>(length);
    const Result<uint64_t> allowed = tree_of(req).reserve(file_of(fi), wanted);
    if (!allowed) return reply(req, allowed.error());
    if (*allowed < wanted) return reply(req, Errno(ENOSPC));
  }
  reply(req, from_libc(fallocate(file_of(fi)->fd(), mode, offset, length)));
}

void do_lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, fuse_file_info* fi) {
  const off_t at = lseek(file_of(fi)->fd(), offset, whence);
  if (at < 0) return reply(req, Errno::last());
  fuse_reply_lseek(req, at);
}

void do_copy(fuse_req_t req, fuse_ino_t, off_t from, fuse_file_info* in, fuse_ino_t, off_t to,
             fuse_file_info* out, size_t size, int flags) {
  const Result<uint64_t> allowed = tree_of(req).reserve(file_of(out), size);
  if (!allowed) return reply(req, allowed.error());
  const ssize_t n = copy_file_range(file_of(in)->fd(), &from, file_of(out)->fd(), &to, *allowed,
                                    static_cast<unsigned>(flags));
  if (n < 0) return reply(req, Errno::last());
  fuse_reply_write(req, static_cast<size_t>(n));
}

/// A directory that is open: what was in it when it was read from its beginning.
struct OpenDirectory {
  ServedId id = 0;
  std::vector<DirEntry> entries;  ///< "." and ".." first
  bool read = false;              ///< somebody was told of these
};

OpenDirectory* directory_of(const fuse_file_info* fi) {
  return reinterpret_cast<OpenDirectory*>(fi->fh);
}

Result<void> read_directory(ServedTree& tree, OpenDirectory* directory) {
  TRY_ASSIGN(std::vector<DirEntry> entries, tree.list(directory->id));
  TRY_ASSIGN(const Attr attr, tree.getattr(directory->id));
  directory->entries.clear();
  directory->entries.push_back({".", attr.stx_ino, NodeType::kDirectory});
  directory->entries.push_back({"..", attr.stx_ino, NodeType::kDirectory});
  std::move(entries.begin(), entries.end(), std::back_inserter(directory->entries));
  directory->read = false;
  return {};
}

void do_opendir(fuse_req_t req, fuse_ino_t node, fuse_file_info* fi) {
  auto directory = std::make_unique<OpenDirectory>();
  directory->id = node;
  const Result<void> read = read_directory(tree_of(req), directory.get());
  if (!read) return reply(req, read);
  fi->fh = reinterpret_cast<uint64_t>(directory.get());
  if (fuse_reply_open(req, fi) != -ENOENT) (void)directory.release();  // until do_releasedir()
}

void do_releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  const std::unique_ptr<OpenDirectory> directory(directory_of(fi));
  fuse_reply_err(req, 0);
}

void do_fsyncdir(fuse_req_t req, fuse_ino_t node, int, fuse_file_info*) {
  reply(req, tree_of(req).sync_directory(node));
}

struct stat as_listed(const DirEntry& entry) {
  struct stat out {};
  out.st_ino = entry.ino;
  out.st_mode = static_cast<mode_t>(entry.type) << 12U;
  return out;
}

/// The bytes that an entry takes; more than `size`: it was not put there.
size_t put_entry(fuse_req_t req, char* to, size_t size, const DirEntry& entry, off_t next) {
  const struct stat attr = as_listed(entry);
  return fuse_add_direntry(req, to, size, entry.name.c_str(), &attr, next);
}

/// The same with what a look-up of the name says. 0: the name is gone.
size_t put_entry_plus(fuse_req_t req, ServedId directory, char* to, size_t size,
                      const DirEntry& entry, off_t next) {
  const char* name = entry.name.c_str();
  const size_t needed = fuse_add_direntry_plus(req, nullptr, 0, name, nullptr, 0);
  if (needed > size) return needed;
  fuse_entry_param param{};  // without a node the kernel looks for itself
  param.attr = as_listed(entry);
  if (entry.name != "." && entry.name != "..") {
    const Result<ServedEntry> found = tree_of(req).lookup(directory, entry.name);
    if (found) param = to_entry(*found);
    if (!found && found.error() == ENOENT) return 0;
  }
  return fuse_add_direntry_plus(req, to, size, name, &param, next);
}

void list(fuse_req_t req, size_t size, off_t offset, OpenDirectory* directory, bool plus) {
  if (offset == 0 && directory->read) {
    const Result<void> again = read_directory(tree_of(req), directory);
    if (!again) return reply(req, again);
  }
  directory->read = true;
  const std::unique_ptr<char[]> buffer(new char[size]);
  size_t used = 0;
  for (auto i = static_cast<size_t>(offset); i < directory->entries.size(); ++i) {
    const DirEntry& entry = directory->entries[i];
    const auto next = static_cast<off_t>(i + 1);
    char* to = buffer.get() + used;
    const size_t took = plus ? put_entry_plus(req, directory->id, to, size - used, entry, next)
                             : put_entry(req, to, size - used, entry, next);
    if (took > size - used) break;
    used += took;
  }
  fuse_reply_buf(req, buffer.get(), used);
}

void do_readdir(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  list(req, size, offset, directory_of(fi), false);
}

void do_readdirplus(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  list(req, size, offset, directory_of(fi), true);
}

}  // namespace

void add_file_requests(fuse_lowlevel_ops* ops) {
  ops->open = do_open;
  ops->create = do_create;
  ops->release = do_release;
  ops->read = do_read;
  ops->write = do_write;
  ops->fsync = do_fsync;
  ops->fallocate = do_fallocate;
  ops->lseek = do_lseek;
  ops->copy_file_range = do_copy;
  ops->opendir = do_opendir;
  ops->releasedir = do_releasedir;
  ops->fsyncdir = do_fsyncdir;
  ops->readdir = do_readdir;
  ops->readdirplus = do_readdirplus;
}

}  // namespace viewsh

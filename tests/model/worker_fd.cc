// Operations on open files: descriptors in the worker's slots, which outlive renames and removals.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstring>

#include "worker.h"

namespace viewsh_model {
namespace {

/// What a descriptor for reading tells of the content may be older than what was written through
/// another one since: the documented limit of copy-up. Only the rest is compared.
bool may_be_stale(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  struct stat st {};
  return flags >= 0 && ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0) &&
         fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode);
}

/// A regular file: what is written to a FIFO of the lower doesn't go to the layer.
bool for_writing(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  struct stat st {};
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0 &&
         fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

bool is_path_only(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_PATH) != 0;
}

/// A FIFO of the lower is used in place, and so are its attributes: they can't be changed.
bool keeps_attributes(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/// open SLOT PATH FLAGS MODE
std::string op_open(Worker& w, const Op& op) {
  const auto at = w.place(op.args[1]);
  const int flags = static_cast<int>(number(op.args[2]));
  struct stat st {};
  const bool made = (flags & O_CREAT) != 0 && fstatat(at.dir, at.path.c_str(), &st, 0) != 0;
  const int fd = openat(at.dir, at.path.c_str(), flags | O_NONBLOCK | O_CLOEXEC,
                        static_cast<mode_t>(number(op.args[3])));
  if (fd < 0) return outcome(-1);
  w.set_slot(op.args[0], fd, made || for_writing(fd));
  return "ok";
}

std::string op_close(Worker& w, const Op& op) {
  w.set_slot(op.args[0], -1);
  return "ok";
}

/// pread SLOT OFFSET LENGTH
std::string op_pread(Worker& w, const Op& op) {
  const int fd = w.fd(op.args[0]);
  std::string data(static_cast<size_t>(number(op.args[2])), '\0');
  const ssize_t n = pread(fd, data.data(), data.size(), number(op.args[1]));
  if (n < 0) return outcome(-1);
  if (may_be_stale(fd)) return "read";
  data.resize(static_cast<size_t>(n));
  return digest(data);
}

/// pwrite SLOT OFFSET LENGTH SEED
std::string op_pwrite(Worker& w, const Op& op) {
  const auto offset = static_cast<size_t>(number(op.args[1]));
  const std::string data = pattern(offset, static_cast<size_t>(number(op.args[2])),
                                   static_cast<unsigned>(number(op.args[3])));
  return outcome(pwrite(w.fd(op.args[0]), data.data(), data.size(), static_cast<off_t>(offset)));
}

std::string op_fstat(Worker& w, const Op& op) {
  struct stat st {};
  const int fd = w.fd(op.args[0]);
  if (fstat(fd, &st) < 0) return outcome(-1);
  return describe(st, !may_be_stale(fd), "/proc/self/fd/" + std::to_string(fd));
}

std::string op_ftrunc(Worker& w, const Op& op) {
  return outcome(ftruncate(w.fd(op.args[0]), number(op.args[1])));
}

std::string op_fchmod(Worker& w, const Op& op) {
  if (keeps_attributes(w.fd(op.args[0]))) return "skipped";
  const int fd = w.fd(op.args[0]);
  if (is_path_only(fd)) return outcome(fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH));
  struct stat st {};
  if (fstat(w.fd(op.args[0]), &st) != 0) st.st_mode = 0;
  return outcome(fchmod(w.fd(op.args[0]), w.mode_for(op.args[1], st)));
}

std::string op_futimens(Worker& w, const Op& op) {
  if (keeps_attributes(w.fd(op.args[0]))) return "skipped";
  const timespec times[2] = {{number(op.args[1]), 6}, {number(op.args[1]), 987654321}};
  const int fd = w.fd(op.args[0]);
  // The only way to say it of what is open by O_PATH.
  if (is_path_only(fd)) return outcome(utimensat(fd, "", times, AT_EMPTY_PATH));
  return outcome(futimens(fd, times));
}

std::string op_fsetxattr(Worker& w, const Op& op) {
  return outcome(
      fsetxattr(w.fd(op.args[0]), op.args[1].c_str(), op.args[2].data(), op.args[2].size(), 0));
}

/// fallocate SLOT MODE OFFSET LENGTH
std::string op_fallocate(Worker& w, const Op& op) {
  return outcome(fallocate(w.fd(op.args[0]), static_cast<int>(number(op.args[1])),
                           number(op.args[2]), number(op.args[3])));
}

/// copyrange FROM OFFSET TO OFFSET LENGTH
std::string op_copyrange(Worker& w, const Op& op) {
  off64_t from = number(op.args[1]);
  off64_t to = number(op.args[3]);
  const int source = w.fd(op.args[0]);
  if (source >= 0 && may_be_stale(source)) return "skipped";
  return outcome(copy_file_range(source, &from, w.fd(op.args[2]), &to,
                                 static_cast<size_t>(number(op.args[4])), 0));
}

/// mmap SLOT LENGTH SEED: writes through a shared mapping, as far as the file goes.
std::string op_mmap(Worker& w, const Op& op) {
  const int fd = w.fd(op.args[0]);
  struct stat st {};
  if (fstat(fd, &st) < 0) return outcome(-1);
  if (!S_ISREG(st.st_mode) || st.st_size == 0) return "skipped";
  const auto length =
      std::min(static_cast<size_t>(st.st_size), static_cast<size_t>(number(op.args[1])) + 1);
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return outcome(-1);
  const std::string data = pattern(0, length, static_cast<unsigned>(number(op.args[2])));
  std::memcpy(memory, data.data(), length);
  const std::string out = outcome(msync(memory, length, MS_SYNC));
  munmap(memory, length);
  return out;
}

/// giveaname SLOT PATH: linkat(2) of the open file, as for O_TMPFILE.
std::string op_giveaname(Worker& w, const Op& op) {
  const auto at = w.place(op.args[1]);
  const std::string from = "/proc/self/fd/" + std::to_string(w.fd(op.args[0]));
  return outcome(linkat(AT_FDCWD, from.c_str(), at.dir, at.path.c_str(), AT_SYMLINK_FOLLOW));
}

/// fsame SLOT PATH: is the open file what the path leads to?
std::string op_fsame(Worker& w, const Op& op) {
  const auto at = w.place(op.args[1]);
  struct stat open {
  }, named{};
  if (fstat(w.fd(op.args[0]), &open) < 0) return "fd " + outcome(-1);
  if (fstatat(at.dir, at.path.c_str(), &named, 0) < 0) return outcome(-1);
  return same_object(open, named) ? "same" : "other";
}

/// fdpath SLOT: what /proc says the open file is called.
std::string op_fdpath(Worker& w, const Op& op) {
  struct stat st {};
  if (fstat(w.fd(op.args[0]), &st) == 0 && !S_ISDIR(st.st_mode) && may_be_stale(w.fd(op.args[0]))) {
    return "skipped";
  }
  if (S_ISFIFO(st.st_mode)) return "skipped";  // the lower's own, which keeps its name
  char text[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(w.fd(op.args[0]));
  const ssize_t n = readlink(link.c_str(), text, sizeof(text));
  if (n < 0) return outcome(-1);
  std::string path(text, static_cast<size_t>(n));
  // A file in an image that has several names is called by any of them.
  const bool any = getenv("MODEL_ANY_NAME") != nullptr && S_ISREG(st.st_mode);
  if (any) return st.st_nlink > 0 ? "(a name)" : "(no name)";
  if (path.starts_with(w.root())) path = "@" + path.substr(w.root().size());
  // A file without a name shows a number, which is its inode's or anything else.
  if (const size_t at = path.rfind("/#"); at != std::string::npos) path = "(no name)";
  return escape(path);
}

/// reopen SLOT FROM FLAGS: through /proc, whatever became of the name.
std::string op_reopen(Worker& w, const Op& op) {
  const std::string link = "/proc/self/fd/" + std::to_string(w.fd(op.args[1]));
  const int fd = open(link.c_str(), static_cast<int>(number(op.args[2])) | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return outcome(-1);
  w.set_slot(op.args[0], fd, w.is_own(op.args[1]) || for_writing(fd));
  return "ok";
}

std::string op_fchdir(Worker& w, const Op& op) { return outcome(fchdir(w.fd(op.args[0]))); }

}  // namespace

const Worker::Verb kFdVerbs[] = {
    {"open", op_open},           {"close", op_close},         {"pread", op_pread},
    {"pwrite", op_pwrite},       {"fstat", op_fstat},         {"ftrunc", op_ftrunc},
    {"fchmod", op_fchmod},       {"futimens", op_futimens},   {"fsetxattr", op_fsetxattr},
    {"fallocate", op_fallocate}, {"copyrange", op_copyrange}, {"mmap", op_mmap},
    {"giveaname", op_giveaname}, {"fsame", op_fsame},         {"fdpath", op_fdpath},
    {"reopen", op_reopen},       {"fchdir", op_fchdir},       {"", nullptr},
};

}  // namespace viewsh_model

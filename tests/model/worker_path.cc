// Operations on paths.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>

#include "worker.h"

namespace viewsh_model {
namespace {

/// Tells after a change whether the path still leads to the same object: copy-up must not show.
class Kept {
 public:
  explicit Kept(const Worker::Place& at) : at_(at) { known_ = look(&before_); }
  std::string text() const {
    struct stat now {};
    if (!known_) return "";
    if (!look(&now)) return " gone";
    return same_object(before_, now) ? " same" : " other";
  }

 private:
  bool look(struct stat* st) const {
    const int saved = errno;
    const bool ok = fstatat(at_.dir, at_.path.c_str(), st, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
    return ok;
  }

  const Worker::Place& at_;
  struct stat before_ {};
  bool known_ = false;
};

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// For calls that have no directory descriptor.
std::string plain_path(const Worker::Place& at) {
  if (at.dir == AT_FDCWD || at.path.starts_with("/")) return at.path;
  return proc_path(at.dir) + "/" + at.path;
}

int open_flags(const std::string& text) { return static_cast<int>(number(text)); }

/// write PATH FLAGS MODE OFFSET LENGTH SEED: opens, writes there, closes.
std::string op_write(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const Kept kept(at);
  const int fd = openat(at.dir, at.path.c_str(), open_flags(op.args[1]) | O_NONBLOCK | O_CLOEXEC,
                        static_cast<mode_t>(number(op.args[2])));
  if (fd < 0) return outcome(-1);
  const auto offset = static_cast<size_t>(number(op.args[3]));
  const std::string data = pattern(offset, static_cast<size_t>(number(op.args[4])),
                                   static_cast<unsigned>(number(op.args[5])));
  std::string out = outcome(pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)));
  struct stat st {};
  if (fstat(fd, &st) == 0) out += " " + describe(st, true, proc_path(fd));
  close(fd);
  return out + kept.text();
}

/// creat PATH FLAGS MODE: one call that makes a file.
std::string op_creat(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const int fd = openat(at.dir, at.path.c_str(), open_flags(op.args[1]) | O_NONBLOCK | O_CLOEXEC,
                        static_cast<mode_t>(number(op.args[2])));
  if (fd < 0) return outcome(-1);
  close(fd);
  return "ok";
}

std::string read_all(int fd) {
  std::string data(1 << 20, '\0');
  size_t have = 0;
  ssize_t n = 0;
  while (have < data.size() && (n = read(fd, data.data() + have, data.size() - have)) > 0) {
    have += static_cast<size_t>(n);
  }
  if (n < 0) return outcome(-1);
  data.resize(have);
  return digest(data);
}

/// openat2(2), asked again where it says EAGAIN: below RESOLVE_BENEATH and RESOLVE_IN_ROOT it does
/// so at a `..` while anything on the machine is renamed or mounted.
int openat2_again(int dir, const char* path, open_how& how) {
  constexpr int kAttempts = 10000;
  int fd = -1;
  for (int i = 0; i < kAttempts; ++i) {
    fd = static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd;
}

/// openat2 PATH FLAGS MODE RESOLVE: what was opened, and its content if it is to be read.
std::string op_openat2(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  open_how how{};
  how.flags = static_cast<uint64_t>(number(op.args[1])) | O_CLOEXEC;
  if ((how.flags & O_PATH) == 0) how.flags |= O_NONBLOCK;
  how.mode = static_cast<uint64_t>(number(op.args[2]));
  how.resolve = static_cast<uint64_t>(number(op.args[3]));
  const int fd = openat2_again(at.dir, at.path.c_str(), how);
  if (fd < 0) return outcome(-1);
  struct stat st {};
  std::string out = fstat(fd, &st) == 0 ? describe(st, true, proc_path(fd)) : outcome(-1);
  if (S_ISREG(st.st_mode) && (how.flags & (O_ACCMODE | O_PATH)) == O_RDONLY) {
    out += " " + read_all(fd);
  }
  close(fd);
  return out;
}

std::string op_read(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const int fd = openat(at.dir, at.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return outcome(-1);
  const std::string out = read_all(fd);
  close(fd);
  return out;
}

std::string op_trunc(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  // truncate(2) has no directory descriptor.
  if (at.dir != AT_FDCWD) return "skipped";
  struct stat st {};
  if (stat(at.path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == number(op.args[1])) {
    return "skipped";  // whether this sets the time depends on the file system: not tmpfs
  }
  const Kept kept(at);
  return outcome(truncate(at.path.c_str(), number(op.args[1]))) + kept.text();
}

std::string op_mkdir(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  struct stat made {};
  made.st_mode = S_IFDIR;
  return outcome(mkdirat(at.dir, at.path.c_str(), w.mode_for(op.args[1], made)));
}

std::string op_mkfifo(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  return outcome(mkfifoat(at.dir, at.path.c_str(), static_cast<mode_t>(number(op.args[1]))));
}

std::string op_unlink(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  return outcome(unlinkat(at.dir, at.path.c_str(), 0));
}

std::string op_rmdir(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  return outcome(unlinkat(at.dir, at.path.c_str(), AT_REMOVEDIR));
}

/// rename FROM TO FLAGS
std::string op_rename(Worker& w, const Op& op) {
  const auto from = w.place(op.args[0]);
  const auto to = w.place(op.args[1]);
  struct stat before {};
  const bool known = fstatat(from.dir, from.path.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0;
  const long rc = syscall(SYS_renameat2, from.dir, from.path.c_str(), to.dir, to.path.c_str(),
                          static_cast<unsigned>(number(op.args[2])));
  std::string out = outcome(rc);
  struct stat after {};
  if (rc == 0 && known && fstatat(to.dir, to.path.c_str(), &after, AT_SYMLINK_NOFOLLOW) == 0) {
    out += same_object(before, after) ? " same" : " other";
  }
  return out;
}

/// link FROM TO FLAGS
std::string op_link(Worker& w, const Op& op) {
  const auto from = w.place(op.args[0]);
  const auto to = w.place(op.args[1]);
  const int rc = linkat(from.dir, from.path.c_str(), to.dir, to.path.c_str(),
                        static_cast<int>(number(op.args[2])));
  std::string out = outcome(rc);
  struct stat st {};
  if (rc == 0 && fstatat(to.dir, to.path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
    out += " " + describe(st, true, plain_path(to));
  }
  return out;
}

/// symlink TARGET PATH
std::string op_symlink(Worker& w, const Op& op) {
  std::string target = op.args[0];
  if (target.starts_with("@")) target = w.root() + "/" + target.substr(1);
  const auto at = w.place(op.args[1]);
  return outcome(symlinkat(target.c_str(), at.dir, at.path.c_str()));
}

std::string op_readlink(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  char text[PATH_MAX];
  const ssize_t n = readlinkat(at.dir, at.path.c_str(), text, sizeof(text));
  return n < 0 ? outcome(-1) : escape({text, static_cast<size_t>(n)});
}

std::string op_chmod(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const Kept kept(at);
  struct stat st {};
  if (fstatat(at.dir, at.path.c_str(), &st, 0) != 0) st.st_mode = 0;
  // That of a lower's FIFO is recorded by name: its other links don't get it.
  if (S_ISFIFO(st.st_mode) && st.st_nlink > 1) return "skipped";
  return outcome(fchmodat(at.dir, at.path.c_str(), w.mode_for(op.args[1], st), 0)) + kept.text();
}

/// utimens PATH SECONDS FLAGS; the seconds `now`: UTIME_NOW.
std::string op_utimens(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  struct stat st {};
  if (fstatat(at.dir, at.path.c_str(), &st, 0) == 0 && S_ISFIFO(st.st_mode)) {
    return "skipped";  // a FIFO of the lower is used in place, and with it its times
  }
  const Kept kept(at);
  timespec times[2] = {{number(op.args[1]), 5}, {number(op.args[1]), 123456789}};
  if (op.args[1] == "now") times[0].tv_nsec = times[1].tv_nsec = UTIME_NOW;
  return outcome(utimensat(at.dir, at.path.c_str(), times, static_cast<int>(number(op.args[2])))) +
         kept.text();
}

/// stat PATH FLAGS
std::string op_stat(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  struct stat st {};
  const int rc = fstatat(at.dir, at.path.c_str(), &st, static_cast<int>(number(op.args[1])));
  return rc < 0 ? outcome(-1) : describe(st, true, plain_path(at));
}

/// access PATH MODE FLAGS
std::string op_access(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  return outcome(faccessat(at.dir, at.path.c_str(), static_cast<int>(number(op.args[1])),
                           static_cast<int>(number(op.args[2]))));
}

/// samefile A B
std::string op_samefile(Worker& w, const Op& op) {
  struct stat st[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    const auto at = w.place(op.args[i]);
    if (fstatat(at.dir, at.path.c_str(), &st[i], AT_SYMLINK_NOFOLLOW) < 0) return outcome(-1);
  }
  return same_object(st[0], st[1]) ? "same" : "other";
}

/// setxattr PATH NAME VALUE FLAGS
std::string op_setxattr(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const Kept kept(at);
  return outcome(lsetxattr(plain_path(at).c_str(), op.args[1].c_str(), op.args[2].data(),
                           op.args[2].size(), static_cast<int>(number(op.args[3])))) +
         kept.text();
}

std::string op_rmxattr(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  return outcome(lremovexattr(plain_path(at).c_str(), op.args[1].c_str()));
}

std::string op_getxattr(Worker& w, const Op& op) {
  char value[4096];
  const auto at = w.place(op.args[0]);
  const ssize_t n = lgetxattr(plain_path(at).c_str(), op.args[1].c_str(), value, sizeof(value));
  return n < 0 ? outcome(-1) : escape({value, static_cast<size_t>(n)});
}

std::string op_listxattr(Worker& w, const Op& op) {
  char list[4096];
  const ssize_t n = llistxattr(plain_path(w.place(op.args[0])).c_str(), list, sizeof(list));
  if (n < 0) return outcome(-1);
  std::vector<std::string> names;
  for (ssize_t i = 0; i < n; i += static_cast<ssize_t>(names.back().size()) + 1) {
    names.emplace_back(list + i);
  }
  std::sort(names.begin(), names.end());
  std::string out = "[";
  for (const std::string& name : names) out += " " + escape(name);
  return out + " ]";
}

std::string op_chdir(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  if (at.dir != AT_FDCWD) return "skipped";
  return outcome(chdir(at.path.c_str()));
}

std::string op_getcwd(Worker& w, const Op&) {
  char path[PATH_MAX];
  // The system call itself: the C library's own way round hides its errors.
  if (syscall(SYS_getcwd, path, sizeof(path)) < 0) return outcome(-1);
  const std::string text = path;
  return escape(text.starts_with(w.root()) ? "@" + text.substr(w.root().size()) : text);
}

}  // namespace

const Worker::Verb kPathVerbs[] = {
    {"write", op_write},
    {"creat", op_creat},
    {"openat2", op_openat2},
    {"read", op_read},
    {"trunc", op_trunc},
    {"mkdir", op_mkdir},
    {"mkfifo", op_mkfifo},
    {"unlink", op_unlink},
    {"rmdir", op_rmdir},
    {"rename", op_rename},
    {"link", op_link},
    {"symlink", op_symlink},
    {"readlink", op_readlink},
    {"chmod", op_chmod},
    {"utimens", op_utimens},
    {"stat", op_stat},
    {"access", op_access},
    {"samefile", op_samefile},
    {"setxattr", op_setxattr},
    {"rmxattr", op_rmxattr},
    {"getxattr", op_getxattr},
    {"listxattr", op_listxattr},
    {"chdir", op_chdir},
    {"getcwd", op_getcwd},
    {"", nullptr},
};

}  // namespace viewsh_model

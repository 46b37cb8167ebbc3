// What README.md's limits say that a view can't do. Natively these operations are left out where
// the view refused them and the limit is the reason; in everything else the two are compared as
// ever.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <initializer_list>
#include <string_view>

#include "worker.h"

namespace viewsh_model {
namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// "What was removed there [in the lower] and is still open" can't be changed, nor be opened for
/// writing or given a name: it isn't the layer's. Not so what was made or is open for writing. Of a
/// directory that went in this way only the attributes are meant.
bool lost_its_name(const Worker& w, const std::string& slot, bool attributes = false) {
  const int fd = w.fd(slot);
  const int flags = fcntl(fd, F_GETFL);
  struct stat st {};
  if (flags < 0 || fstat(fd, &st) != 0 || w.is_own(slot)) return false;
  if (S_ISDIR(st.st_mode) && !attributes) return false;
  const bool reads = (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0;
  if (!reads && !S_ISFIFO(st.st_mode)) return false;
  char text[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = readlink(link.c_str(), text, sizeof(text));
  return n > 0 && std::string_view(text, static_cast<size_t>(n)).ends_with(" (deleted)");
}

/// "What you may not read can't be copied": a file of the lower that its owner closed.
bool unreadable(const Worker& w, const std::string& path, int flags) {
  const auto at = w.place(path);
  struct stat st {};
  return fstatat(at.dir, at.path.c_str(), &st, flags) == 0 && S_ISREG(st.st_mode) &&
         st.st_uid == getuid() && (st.st_mode & S_IRUSR) == 0;
}

/// A FIFO of the lower "is used in place": its own mode counts where it is opened, not a new one.
bool is_fifo(const Worker& w, const std::string& path) {
  const auto at = w.place(path);
  struct stat st {};
  return fstatat(at.dir, at.path.c_str(), &st, 0) == 0 && S_ISFIFO(st.st_mode);
}

bool limited(const Worker& w, const std::string& result, const Op& op) {
  if (is_one_of(op.verb, {"fsetxattr", "fchmod", "futimens"})) {
    return result == "EROFS" && lost_its_name(w, op.args[0], true);
  }
  if (op.verb == "reopen") return result == "EROFS" && lost_its_name(w, op.args[1]);
  if (op.verb == "giveaname") return result == "EXDEV" && lost_its_name(w, op.args[0]);
  if (!result.starts_with("EACCES")) return false;
  if (op.verb == "open") return unreadable(w, op.args[1], 0) || is_fifo(w, op.args[1]);
  if (is_one_of(op.verb, {"write", "creat"}) && is_fifo(w, op.args[0])) return true;
  if (is_one_of(op.verb, {"chmod", "write", "trunc", "creat"})) return unreadable(w, op.args[0], 0);
  if (op.verb == "link") {
    const bool follow = (number(op.args[2]) & AT_SYMLINK_FOLLOW) != 0;
    return unreadable(w, op.args[0], follow ? 0 : AT_SYMLINK_NOFOLLOW);
  }
  if (op.verb == "utimens") {
    return unreadable(w, op.args[0], static_cast<int>(number(op.args[2])));
  }
  if (is_one_of(op.verb, {"setxattr", "rmxattr"})) {
    return unreadable(w, op.args[0], AT_SYMLINK_NOFOLLOW);
  }
  return false;
}

}  // namespace

bool may_be_limit(const std::string& verb, const std::string& result) {
  if (is_one_of(verb, {"fsetxattr", "fchmod", "futimens", "reopen"})) return result == "EROFS";
  if (verb == "giveaname") return result == "EXDEV";
  // What follows says whether the path still leads to the same object.
  return is_one_of(result, {"EACCES", "EACCES same"}) &&
         is_one_of(verb, {"chmod", "write", "trunc", "creat", "open", "link", "utimens", "setxattr",
                          "rmxattr"});
}

std::string run_limited(Worker& w, const Op& op) {
  const Op meant{op.args[1], {op.args.begin() + 2, op.args.end()}};
  if (limited(w, op.args[0], meant)) return format(meant) + " = " + op.args[0];
  return w.run(meant);
}

}  // namespace viewsh_model

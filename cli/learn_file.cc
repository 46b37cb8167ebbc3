#include "cli/learn_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/expand.h"
#include "cli/text.h"

namespace viewsh {

UserError LearnFile::open(const std::string& path) {
  if (path.empty()) return {"--learn: must be a file"};
  path_ = absolute_host_path(path, working_directory());
  auto refused = [&] {
    return UserError{"--learn " + printable(path) + ": " + Errno::last().message()};
  };
  struct stat st {};
  if (stat(path_.c_str(), &st) == 0) {
    if (S_ISREG(st.st_mode) && st.st_size > 0) {
      return {"--learn " + printable(path) +
              ": exists already, and a profile that was edited is not overwritten; remove it or "
              "give another name"};
    }
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    return fd_ ? UserError{} : refused();
  }
  if (errno != ENOENT) return refused();
  std::string dir = parent_path(path_);
  fd_.reset(::open(dir.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  nameless_ = true;
  if (fd_) return {};
  // Not every file system has files without names.
  bool unknown = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
  if (!unknown) return refused();
  return access(dir.c_str(), W_OK | X_OK) == 0 ? UserError{} : refused();
}

UserError LearnFile::write(const std::string& text) {
  auto refused = [&] {
    return UserError{"--learn " + printable(path_) + ": " + Errno::last().message()};
  };
  bool unnamed = nameless_ && fd_;
  if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd_) return refused();
  for (size_t done = 0; done < text.size();) {
    ssize_t n = ::write(fd_.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refused();
    done += static_cast<size_t>(n);
  }
  if (!unnamed) return {};
  std::string link = "/proc/self/fd/" + std::to_string(fd_.get());
  return linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0
             ? UserError{}
             : refused();
}

}  // namespace viewsh

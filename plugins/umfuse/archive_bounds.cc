#include "archive_bounds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "archive_reader.h"

namespace viewsh {
namespace {

/// Milliseconds of processor time: for any, and for each of so many bytes of the archive.
constexpr uint64_t kLeast = 500;
constexpr uint64_t kBytesOfOne = 1 << 10;
/// What is compressed may be much longer than it looks.
constexpr uint64_t kCompressed = 60'000;
constexpr unsigned kLongestSeconds = 300;

bool goes_in_circles(int format) {
  return format == ARCHIVE_FORMAT_XAR || format == ARCHIVE_FORMAT_RAR ||
         format == ARCHIVE_FORMAT_RAR_V5 || format == ARCHIVE_FORMAT_ISO9660;
}

/// By its first bytes a format of the others.
bool looks_harmless(const ImageSource& source) {
  std::array<char, 264> head{};
  const ssize_t got =
      ::pread(source.fd(), head.data(), head.size(), static_cast<off_t>(source.start()));
  const std::string_view text(head.data(), static_cast<size_t>(std::max<ssize_t>(got, 0)));
  // The first blocks of an ISO are free for anything.
  constexpr uint64_t kIsoMagic = 16 * 2048 + 1;
  std::array<char, 5> iso{};
  const ssize_t there =
      ::pread(source.fd(), iso.data(), iso.size(), static_cast<off_t>(source.start() + kIsoMagic));
  if (there == static_cast<ssize_t>(iso.size()) && memcmp(iso.data(), "CD001", iso.size()) == 0)
    return false;
  constexpr size_t kTarMagic = 257;
  const bool tar = text.size() > kTarMagic && text.substr(kTarMagic).starts_with("ustar");
  return tar || text.starts_with("PK\3\4") || text.starts_with("!<arch>\n") ||
         text.starts_with("07070") || text.starts_with("7z\xbc\xaf\x27\x1c");
}

/// From now on; SIGPROF is the end then.
void allow(uint64_t milliseconds) {
  itimerval time{};
  time.it_value.tv_sec = static_cast<time_t>(milliseconds / 1000);
  time.it_value.tv_usec = static_cast<suseconds_t>(milliseconds % 1000 * 1000);
  if (::setitimer(ITIMER_PROF, &time, nullptr) < 0) ::_exit(1);
}

[[noreturn]] void read_headers(const ImageSource& source, std::string_view type, bool all) {
  const uint64_t by_size = kLeast + std::min(source.data_size() / kBytesOfOne, kCompressed);
  sigset_t ends{};
  ::sigemptyset(&ends);
  for (const int signal : {SIGPROF, SIGALRM}) {
    ::sigaddset(&ends, signal);
    ::signal(signal, SIG_DFL);
  }
  ::sigprocmask(SIG_UNBLOCK, &ends, nullptr);
  allow(by_size);
  ::alarm(kLongestSeconds);  // also where it waits for a lock that another thread had at the fork
  // Should the circle take memory, this process is the one to go.
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) (void)!::write(fd, "1000", 4);
  std::string why;
  const auto reader = ArchiveReader::open(source, type, &why);
  if (reader == nullptr) ::_exit(0);
  int code = reader->next();
  if (reader->filtered()) allow(std::max(by_size, kCompressed));
  while (all && goes_in_circles(reader->format()) && (code == ARCHIVE_OK || code == ARCHIVE_WARN)) {
    code = reader->next();
  }
  ::_exit(0);  // whether it can be read is found out by who reads it
}

}  // namespace

std::string headers_end(const ImageSource& source, std::string_view type, bool all) {
  if (looks_harmless(source)) return {};
  const pid_t child = ::fork();
  if (child < 0) return std::string("it can't be looked at: ") + strerror(errno);
  if (child == 0) read_headers(source, type, all);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return std::string("it can't be looked at: ") + strerror(errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return "its headers don't come to an end";
}

}  // namespace viewsh

#include "syscalls/close.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <memory>

#include "syscalls/handlers.h"
#include "syscalls/mapping.h"
#include "syscalls/table.h"
#include "viewsh/close_listener.h"

namespace viewsh {

namespace {

using Listeners = std::vector<std::shared_ptr<CloseListener>>;

/// Those of the mounts that the view began with, covered ones too, and of later ones. They may be
/// taken away while one of them waits.
Listeners listeners(const Session& session) {
  Listeners out;
  const auto add = [&](const Mount& mount) {
    auto hears = std::dynamic_pointer_cast<CloseListener>(mount.own_fs());
    if (hears != nullptr) out.push_back(std::move(hears));
  };
  for (const View::Entry& entry : session.view->entries()) {
    if (!entry.mount->late && entry.mount->fs) add(*entry.mount);
  }
  for (const auto& mount : session.late) add(*mount);
  return out;
}

/// The host path of what a descriptor is open on; "": it has none.
std::string host_of(const std::string& link) {
  char text[PATH_MAX];
  const ssize_t n = readlink(link.c_str(), text, sizeof text);
  if (n <= 0 || text[0] != '/') return "";
  std::string host(text, static_cast<size_t>(n));
  constexpr std::string_view kDeleted = " (deleted)";
  if (host.ends_with(kDeleted)) host.resize(host.size() - kDeleted.size());
  return host;
}

/// A descriptor that is about to be closed, and whose it is.
struct Closing {
  std::shared_ptr<CloseListener> fs;
  std::string host;
  Errno error;  ///< of what was to be done before
};

std::optional<Closing> tell_closing(Call& call, const Listeners& to, int fd) {
  if (to.empty()) return std::nullopt;
  std::string host = host_of(call.fd_path(fd));
  if (host.empty()) return std::nullopt;
  for (const auto& hears : to) {
    const Result<bool> told = hears->closing(host);
    if (!told.ok()) return Closing{hears, std::move(host), told.error()};
    if (*told) return Closing{hears, std::move(host), {}};
  }
  return std::nullopt;
}

std::vector<int> descriptors(pid_t tid, unsigned first, unsigned last) {
  std::vector<int> out;
  const std::string dir = "/proc/" + std::to_string(tid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
  if (open == nullptr) return out;
  while (const dirent* entry = readdir(open.get())) {
    const char* end = entry->d_name + strlen(entry->d_name);
    unsigned fd = 0;
    const auto [stop, error] = std::from_chars(entry->d_name, end, fd);
    if (error == std::errc() && stop == end && fd >= first && fd <= last)
      out.push_back(static_cast<int>(fd));
  }
  return out;
}

/// proc_pid_fdinfo(5)
bool closes_on_exec(pid_t tid, int fd) {
  const std::string path = "/proc/" + std::to_string(tid) + "/fdinfo/" + std::to_string(fd);
  std::ifstream file(path);
  std::string word;
  unsigned flags = 0;
  while (file >> word) {
    if (word == "flags:" && file >> std::oct >> flags) return (flags & O_CLOEXEC) != 0;
  }
  return false;
}

/// The same for many, whose errors nobody is told.
std::vector<Closing> tell_all(Call& call, unsigned first, unsigned last) {
  std::vector<Closing> out;
  const Listeners to = listeners(call.session());
  if (to.empty()) return out;
  for (const int fd : descriptors(call.task().tid, first, last)) {
    if (auto one = tell_closing(call, to, fd)) out.push_back(std::move(*one));
  }
  return out;
}

bool is_last_thread(Call& call) {
  const auto& tasks = call.session().tasks;
  return std::none_of(tasks.begin(), tasks.end(), [&](const auto& one) {
    return one.second->tgid == call.task().tgid && one.first != call.task().tid;
  });
}

/// Stops at every call with Trap::kCloses.
std::vector<sock_filter> close_filter() {
  constexpr auto statement = [](unsigned code, uint32_t k) {
    return sock_filter{static_cast<uint16_t>(code), 0, 0, k};
  };
  std::vector<sock_filter> program{
      statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offsetof(seccomp_data, nr)))};
  for (const Row& row : table()) {
    if (row.trap != Trap::kCloses) continue;
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<uint32_t>(row.nr)});
    program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return program;
}

/// seccomp(2)'s argument.
Outcome::Text filter_text(const std::vector<sock_filter>& program) {
  sock_fprog prog{static_cast<unsigned short>(program.size()), nullptr};
  Outcome::Text text{2, {}, {{offsetof(sock_fprog, filter), sizeof prog}}};
  text.bytes.assign(reinterpret_cast<const char*>(&prog), sizeof prog);
  text.bytes.append(reinterpret_cast<const char*>(program.data()),
                    program.size() * sizeof(sock_filter));
  return text;
}

}  // namespace

bool hears_close(const Session& session) { return !listeners(session).empty(); }

std::optional<Outcome> trace_closes(Call& call) {
  Task& task = call.task();
  if (task.traces_closes || !hears_close(call.session())) return std::nullopt;
  // Tried once: without it, what was written is brought home later.
  task.traces_closes = true;
  Registers asking = call.regs();
  asking.orig_rax = SYS_seccomp;
  asking.rdi = SECCOMP_SET_MODE_FILTER;
  asking.rsi = SECCOMP_FILTER_FLAG_TSYNC;
  if (!may_call(task, asking, asking.rip)) return std::nullopt;
  Outcome out = Outcome::rewritten().set(0, asking.rdi).set(1, asking.rsi);
  out.nr = SYS_seccomp;
  out.texts.push_back(filter_text(close_filter()));
  out.then([&session = call.session(), tgid = task.tgid](long result) {
    for (const auto& [tid, other] : session.tasks) {
      if (result == 0 && other->tgid == tgid) other->traces_closes = true;
    }
    return Outcome::kAgain;
  });
  return out;
}

std::vector<std::shared_ptr<CloseListener>> close_listeners(const Session& session) {
  return listeners(session);
}

std::vector<std::string> closed_by_exec(Call& call) {
  std::vector<std::string> out;
  if (!hears_close(call.session())) return out;
  const pid_t tid = call.task().tid;
  for (const int fd : descriptors(tid, 0, UINT_MAX)) {
    std::string host = closes_on_exec(tid, fd) ? host_of(call.fd_path(fd)) : "";
    if (!host.empty()) out.push_back(std::move(host));
  }
  return out;
}

void tell_exec(const Session& session, const std::vector<std::string>& closed) {
  const Listeners to = listeners(session);
  for (const std::string& host : closed) {
    // Nobody is told of an error.
    for (const auto& hears : to) (void)hears->closing(host);
  }
}

/// filp_flush() of fs/open.c: the descriptor is gone, whatever the error.
Outcome sys_close(Call& call, Fd fd) {
  auto closing = tell_closing(call, listeners(call.session()), fd.value);
  if (!closing) return Outcome::as_is();
  Outcome out;
  out.then([closing = std::move(*closing)](long result) -> long {
    closing.fs->closed(closing.host);
    return result == 0 ? -closing.error.value() : result;
  });
  return out;
}

/// do_dup2() of fs/file.c has no error of what it closes.
Outcome sys_dup2(Call& call, Fd from, Fd to) {
  if (from.value == to.value) return Outcome::as_is();
  auto closing = tell_closing(call, listeners(call.session()), to.value);
  if (!closing) return Outcome::as_is();
  Outcome out;
  out.then([closing = std::move(*closing)](long result) {
    closing.fs->closed(closing.host);
    return result;
  });
  return out;
}

Outcome sys_close_range(Call& call, unsigned first, unsigned last, Flags flags) {
  if ((flags & CLOSE_RANGE_CLOEXEC) != 0) return Outcome::as_is();
  auto all = tell_all(call, first, last);
  if (all.empty()) return Outcome::as_is();
  Outcome out;
  out.then([all = std::move(all)](long result) {
    for (const Closing& one : all) one.fs->closed(one.host);
    return result;
  });
  return out;
}

/// What is left to do then, is done when the process is gone: Tracer::tell_closed_later().
Outcome sys_exit_group(Call& call) {
  (void)tell_all(call, 0, UINT_MAX);
  return Outcome::as_is();
}

Outcome sys_exit(Call& call) {
  return is_last_thread(call) ? sys_exit_group(call) : Outcome::as_is();
}

}  // namespace viewsh

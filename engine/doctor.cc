#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "engine.h"
#include "plugin_host.h"
#include "tracee/event.h"
#include "tracee/filter.h"

namespace viewsh {

namespace {

DoctorLine kernel_line() {
  utsname name{};
  uname(&name);
  int major = 0;
  int minor = 0;
  sscanf(name.release, "%d.%d", &major, &minor);
  DoctorLine line{"kernel", major > 5 || (major == 5 && minor >= 10), true, name.release, ""};
  if (strcmp(name.machine, "x86_64") != 0) line.ok = false;
  if (!line.ok) line.advice = "Linux 5.10 or later on x86-64 is needed";
  return line;
}

/// What stands in the way of tracing: a view, Yama, a container's seccomp profile, another tracer.
std::string ptrace_advice() {
  if (inside_view()) return "this is a view already: leave it first";
  std::ifstream yama("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  if (yama >> scope && scope >= 2) {
    return "Yama forbids it: `sysctl kernel.yama.ptrace_scope=1` as root (it is " +
           std::to_string(scope) + ")";
  }
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "TracerPid:" && status >> word && word != "0") {
      return "this process is traced by process " + word + ": not under strace or gdb";
    }
    if (word == "Seccomp:" && status >> word && word != "0") {
      return "a seccomp profile forbids it: with Docker `--cap-add=SYS_PTRACE` or "
             "`--security-opt seccomp=unconfined`, with Kubernetes `seccompProfile: Unconfined`";
    }
  }
  return "the system forbids it (a security module?)";
}

struct Probe {
  bool traced = false;
  int trace_errno = 0;
  bool memory = false;
  int memory_errno = 0;
  bool force_write = false;
  bool borrow = false;
};

/// A child that waits; seized, read, written, and ended again.
Probe probe_child() {
  Probe probe;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return probe;
  static char secret[4096];
  snprintf(secret, sizeof secret, "viewsh");
  pid_t pid = fork();
  if (pid == 0) {
    char byte = 0;
    close(ends[1]);
    _exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
  }
  close(ends[0]);
  if (pid > 0) {
    probe.traced = seize(pid);
    probe.trace_errno = errno;
    char copy[8] = {};
    iovec local{copy, 7};
    iovec far{secret, 7};
    probe.memory = process_vm_readv(pid, &local, 1, &far, 1, 0) == 7;
    probe.memory_errno = errno;
    int mem = open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDWR | O_CLOEXEC);
    // A page of code: writable by force alone.
    char byte = 0;
    auto code = static_cast<off_t>(reinterpret_cast<uintptr_t>(&probe_child));
    probe.force_write =
        mem >= 0 && pread(mem, &byte, 1, code) == 1 && pwrite(mem, &byte, 1, code) == 1;
    if (mem >= 0) close(mem);
    auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    auto borrowed = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, 2, 0));
    probe.borrow = borrowed >= 0 || errno == EBADF;
    if (borrowed >= 0) close(borrowed);
    if (pidfd >= 0) close(pidfd);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, __WALL);
  }
  close(ends[1]);
  return probe;
}

bool probe_seccomp(int* error) {
  pid_t pid = fork();
  if (pid == 0) {
    FilterPlan plan;
    plan.actions.assign(512, FilterAction::kAllow);
    Result<void> installed = install_filter(compile_filter(plan));
    _exit(installed.ok() ? 0 : installed.error().value());
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return false;
  *error = WEXITSTATUS(status);
  return WIFEXITED(status) && *error == 0;
}

DoctorLine openat2_line() {
  struct {
    uint64_t flags, mode, resolve;
  } how{O_PATH | O_CLOEXEC, 0, 4};
  auto fd = static_cast<int>(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
  DoctorLine line{"openat2", fd >= 0, true, fd >= 0 ? "works" : strerror(errno), ""};
  if (fd >= 0) {
    close(fd);
  } else {
    line.advice = "Linux 5.6, or a container profile that allows openat2";
  }
  return line;
}

DoctorLine landlock_line() {
  long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return {"Landlock", abi > 0, false, abi > 0 ? "ABI " + std::to_string(abi) : strerror(errno),
          abi > 0 ? "" : "cages will not be available"};
}

DoctorLine state_line() {
  PluginHost host;
  std::string dir = host.state_dir();
  Result<std::string> made = host.scratch_dir("doctor", false);
  DoctorLine line{"state directory", made.ok(), false, dir, ""};
  if (!made.ok()) {
    line.finding += ": " + made.error().message();
    line.advice = "set XDG_STATE_HOME to a directory that can be written, or there are no layers";
  }
  return line;
}

DoctorLine limits_line() {
  rlimit files{};
  rlimit processes{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NPROC, &processes);
  return {
      "limits", files.rlim_max >= 1024, false,
      "open files " + std::to_string(files.rlim_max) + ", processes " +
          (processes.rlim_max == RLIM_INFINITY ? "unlimited" : std::to_string(processes.rlim_max)),
      files.rlim_max >= 1024 ? "" : "raise `ulimit -Hn` for views with many processes"};
}

}  // namespace

std::vector<DoctorLine> examine_system() {
  std::vector<DoctorLine> lines;
  lines.push_back(kernel_line());
  Probe probe = probe_child();
  lines.push_back({"ptrace", probe.traced, true,
                   probe.traced ? "works" : strerror(probe.trace_errno),
                   probe.traced ? "" : ptrace_advice()});
  lines.push_back({"process memory", probe.memory, true,
                   probe.memory ? "works" : strerror(probe.memory_errno),
                   probe.memory ? "" : "allow process_vm_readv and process_vm_writev"});
  lines.push_back({"writing code pages", probe.force_write, true,
                   probe.force_write ? "works" : "refused",
                   probe.force_write ? "" : "boot with proc_mem.force_override=ptrace"});
  lines.push_back({"pidfd_getfd", probe.borrow, true, probe.borrow ? "works" : "refused",
                   probe.borrow ? "" : "merged directories can't be listed: allow pidfd_getfd"});
  int error = 0;
  bool seccomp = probe_seccomp(&error);
  lines.push_back({"seccomp filter", seccomp, true, seccomp ? "works" : strerror(error),
                   seccomp ? "" : "a kernel with CONFIG_SECCOMP_FILTER is needed"});
  lines.push_back(openat2_line());
  lines.push_back(landlock_line());
  lines.push_back(state_line());
  lines.push_back(limits_line());
  return lines;
}

}  // namespace viewsh

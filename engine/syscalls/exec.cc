#include <elf.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "base/loader_config.h"
#include "base/path.h"
#include "syscalls/attr.h"
#include "syscalls/close.h"
#include "syscalls/handlers.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

constexpr int kMaxInterpreters = 5;  // fs/exec.c: five rewrites, then ELOOP
constexpr size_t kHeadSize = 256;    // BINPRM_BUF_SIZE
constexpr size_t kCommSize = 15;     // TASK_COMM_LEN without its NUL
constexpr const char* kUsualInterpreter = "/lib64/ld-linux-x86-64.so.2";

/// An execve or execveat, its path walked.
struct Request {
  Walked program;
  std::string name;  ///< AT_EXECFN; a `#!` line's interpreter gets it as the script's path
  std::string comm;  ///< what the task is to be called
  unsigned path_argument = 0;
  unsigned argv_argument = 1;
  bool closes = false;      ///< `name` goes by a descriptor that exec closes
  bool unnamed = false;     ///< the object of a descriptor or magic link, which no view path names
  std::string unnamed_exe;  ///< what /proc/PID/exe shows of it
};

/// The program that the kernel is to start in the end, and what it is to be given.
struct Plan {
  Walked program;
  std::string shown;               ///< path as the program or a `#!` line named it
  std::vector<std::string> front;  ///< takes the place of argv[0]; empty: argv as it is
  bool identity = true;            ///< the kernel, left alone, would do all this itself
  bool keep_argv0 = false;
  bool readable = true;
  bool closes = false;
  bool unnamed = false;
  bool needs_loader = false;  ///< the kernel would not find the ELF interpreter of the view
  std::string interpreter;    ///< view path of PT_INTERP; empty: none
};

struct Script {
  std::string interpreter;
  std::string argument;
};

/// Parses a `#!` line as fs/binfmt_script.c does.
Result<Script> parse_script(std::string_view head) {
  size_t end = head.find('\n');
  bool cut = end == std::string_view::npos;
  std::string_view line = head.substr(2, cut ? std::string_view::npos : end - 2);
  line = line.substr(0, line.find('\0'));
  auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && blank(line.back())) line.remove_suffix(1);
  if (line.empty()) return Errno(ENOEXEC);
  size_t stop = line.find_first_of(" \t");
  if (cut && head.size() == kHeadSize && stop == std::string_view::npos) return Errno(ENOEXEC);
  Script script;
  script.interpreter = line.substr(0, stop);
  if (stop != std::string_view::npos) {
    line.remove_prefix(stop);
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
    script.argument = line;
  }
  return script;
}

/// The program headers of an ELF file that this machine can run.
Result<std::vector<Elf64_Phdr>> program_headers(int fd, std::string_view head) {
  constexpr size_t kMaxSize = 65536;
  if (head.size() < sizeof(Elf64_Ehdr) || !head.starts_with(ELFMAG)) return Errno(ENOEXEC);
  Elf64_Ehdr header{};
  memcpy(&header, head.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
    return Errno(ENOEXEC);
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return Errno(ENOEXEC);
  size_t size = size_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || size == 0 || size > kMaxSize) {
    return Errno(ENOEXEC);
  }
  std::vector<Elf64_Phdr> table(header.e_phnum);
  if (pread(fd, table.data(), size, static_cast<off_t>(header.e_phoff)) !=
      static_cast<ssize_t>(size)) {
    return Errno(ENOEXEC);
  }
  return table;
}

/// The text of PT_INTERP; empty if there is none. fs/binfmt_elf.c
Result<std::string> elf_interpreter(int fd, std::string_view head) {
  TRY_ASSIGN(std::vector<Elf64_Phdr> table, program_headers(fd, head));
  for (const Elf64_Phdr& entry : table) {
    if (entry.p_type != PT_INTERP) continue;
    if (entry.p_filesz < 2 || entry.p_filesz > PATH_MAX) return Errno(ENOEXEC);
    std::string text(entry.p_filesz, '\0');
    if (pread(fd, text.data(), text.size(), static_cast<off_t>(entry.p_offset)) !=
        static_cast<ssize_t>(text.size())) {
      return Errno(EIO);
    }
    if (text.back() != '\0') return Errno(ENOEXEC);
    return std::string(text.c_str());
  }
  return std::string();
}

/// The kernel's first questions about a file that is to be executed; its host object is there then.
Result<void> check_program(Call& call, Walked* walked) {
  if (walked->found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  if (walked->found.type != NodeType::kRegular) return Errno(EACCES);
  if (walked->mount && (walked->mount->flags & MS_NOEXEC) != 0) return Errno(EACCES);
  if (walked->found.deferred) {
    TRY_ASSIGN(const Attr attr, walked->fs_mutable().getattr(walked->path));
    TRY(check_access(walked->fs_mutable(), walked->path, attr, X_OK, call.caller()));
    // The right to read it isn't needed for that.
    TRY(call.have_content(walked, O_RDONLY, call.caller().as_root()));
  }
  if (faccessat(AT_FDCWD, walked->found.host.c_str(), X_OK, AT_EACCESS) < 0) return Errno::last();
  return {};
}

/// What our loader is to map has to be readable, and on a file system that lets programs run.
Result<UniqueFd> open_to_map(const Walked& walked) {
  UniqueFd fd(open(walked.found.host.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Errno::last();
  struct statvfs file_system {};
  if (fstatvfs(fd.get(), &file_system) == 0 && (file_system.f_flag & ST_NOEXEC) != 0) {
    return Errno(EACCES);
  }
  return fd;
}

/// The kernel's questions about an ELF interpreter, asked where our loader maps it.
Result<void> check_interpreter(Call& call, Walked* walked) {
  TRY(check_program(call, walked));
  TRY_ASSIGN(UniqueFd fd, open_to_map(*walked));
  char bytes[sizeof(Elf64_Ehdr)];
  ssize_t n = pread(fd.get(), bytes, sizeof bytes, 0);
  if (n < 0) return Errno::last();
  if (n != sizeof bytes) return Errno(EIO);
  if (!program_headers(fd.get(), {bytes, sizeof bytes}).ok()) return Errno(ELIBBAD);
  return {};
}

/// Finds the ELF interpreter in the view: the kernel by itself would look for it on the host.
Result<void> find_elf_interpreter(Call& call, const std::string& interpreter, Plan* plan) {
  if (interpreter.empty()) return {};
  WalkFlags flags;
  flags.want_exists = true;
  TRY_ASSIGN(Walked walked, call.walk({AT_FDCWD}, {interpreter, 0}, flags));
  if (walked.found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  plan->interpreter = walked.view_path;
  if (walked.identity && interpreter[0] == '/') return {};
  TRY(check_interpreter(call, &walked));
  plan->needs_loader = true;
  return {};
}

/// May be run but not read: the kernel alone can start it, if the usual interpreter is the host's.
Result<bool> unreadable_program(Call& call, Plan* plan) {
  plan->readable = false;
  WalkFlags flags;
  flags.want_exists = true;
  Result<Walked> walked = call.walk({AT_FDCWD}, {kUsualInterpreter, 0}, flags);
  if (!walked.ok() || !walked->identity) return Errno(EACCES);
  return false;
}

/// The next program in the chain: a `#!` line's or a binfmt rule's interpreter.
Result<void> take_interpreter(Call& call, const std::string& interpreter,
                              const std::string& argument, bool native, Plan* plan) {
  std::vector<std::string> front{interpreter};
  if (plan->closes) return Errno(ENOENT);
  if (!argument.empty()) front.push_back(argument);
  front.push_back(plan->shown);
  if (!plan->front.empty()) front.insert(front.end(), plan->front.begin() + 1, plan->front.end());
  plan->identity = plan->identity && plan->program.identity && native;
  WalkFlags flags;
  flags.want_exists = true;
  TRY_ASSIGN(plan->program, call.walk({AT_FDCWD}, {interpreter, 0}, flags));
  TRY(check_program(call, &plan->program));
  plan->unnamed = false;
  plan->front = std::move(front);
  plan->shown = interpreter;
  return {};
}

/// True: the program changed to its interpreter. False: it is what is to be started.
Result<bool> next_program(Call& call, Plan* plan) {
  UniqueFd fd(open(plan->program.found.host.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return unreadable_program(call, plan);
  char bytes[kHeadSize];
  ssize_t n = pread(fd.get(), bytes, sizeof bytes, 0);
  if (n < 0) return Errno::last();
  std::string_view head(bytes, static_cast<size_t>(n));
  for (ExecFormats* formats : call.session().exec_formats) {
    std::optional<ExecMatch> match = formats->match(plan->shown, head);
    if (!match) continue;
    plan->keep_argv0 = match->preserve_argv0;
    TRY(take_interpreter(call, match->interpreter, "", false, plan));
    return true;
  }
  if (head.starts_with("#!")) {
    TRY_ASSIGN(Script script, parse_script(head));
    TRY(take_interpreter(call, script.interpreter, script.argument, true, plan));
    return true;
  }
  TRY_ASSIGN(std::string interpreter, elf_interpreter(fd.get(), head));
  TRY(find_elf_interpreter(call, interpreter, plan));
  return false;
}

Result<std::vector<uint64_t>> read_pointers(Call& call, uint64_t array) {
  std::vector<uint64_t> out;
  if (array == 0) return out;
  constexpr size_t kMax = 1 << 20;
  while (out.size() < kMax) {
    uint64_t chunk[64];
    uint64_t at = array + out.size() * 8;
    size_t want = std::min(sizeof chunk, static_cast<size_t>(4096 - at % 4096));
    want = std::max<size_t>(want & ~size_t{7}, 8);
    TRY(call.memory().read(at, chunk, want));
    for (size_t i = 0; i < want / 8; ++i) {
      if (chunk[i] == 0) return out;
      out.push_back(chunk[i]);
    }
  }
  return Errno(E2BIG);
}

/// argv with `front` in the place of its first element, as a text with pointers into itself.
Result<Outcome::Text> build_argv(Call& call, const Plan& plan, uint64_t argv, unsigned argument) {
  TRY_ASSIGN(std::vector<uint64_t> old, read_pointers(call, argv));
  std::vector<std::string> front = plan.front;
  if (plan.keep_argv0 && !old.empty()) {
    TRY_ASSIGN(std::string first, call.memory().read_string(old[0], PATH_MAX * 32));
    front.insert(front.begin() + 2, std::move(first));
  }
  size_t kept = old.empty() ? 0 : old.size() - 1;
  Outcome::Text text;
  text.argument = argument;
  text.bytes.assign((front.size() + kept + 1) * 8, '\0');
  for (size_t i = 0; i < kept; ++i) {
    memcpy(text.bytes.data() + (front.size() + i) * 8, &old[i + 1], 8);
  }
  for (size_t i = 0; i < front.size(); ++i) {
    text.pointers.emplace_back(i * 8, text.bytes.size());
    text.bytes.append(front[i].c_str(), front[i].size() + 1);
  }
  return text;
}

/// Can our loader start the program? It opens it by its view path, after the exec.
Result<void> check_loadable(Call& call, const Plan& plan) {
  if (call.session().loader.empty()) return Errno(ENOEXEC);
  if (!plan.readable) return Errno(EACCES);
  if (plan.unnamed && plan.closes) return Errno(ENOENT);
  if (plan.program.view_path.size() + plan.interpreter.size() + 2 > LoaderConfig::kTextSize ||
      plan.program.view_path.size() >= PATH_MAX || plan.interpreter.size() >= PATH_MAX) {
    return Errno(ENAMETOOLONG);
  }
  Result<UniqueFd> fd = open_to_map(plan.program);
  if (!fd.ok()) return fd.error();
  return {};
}

/// A host path with so many slashes in front that a text of `room` bytes can take its place where
/// the kernel keeps it for AT_EXECFN.
std::string with_room(const std::string& host, size_t room) {
  room = std::min<size_t>(room, PATH_MAX - 1);
  return room <= host.size() ? host : std::string(room - host.size(), '/') + host;
}

/// Turns a plan into the call that the kernel is to run.
Outcome start_planned(Call& call, const Plan& plan, const Request& request) {
  Task& task = call.task();
  const Walked& program = plan.program;
  task.exec = PendingExec{};
  task.exec->unreadable = !plan.readable;
  if (task.traces_closes) task.exec->closes = closed_by_exec(call);
  // What an unreadable file is (a `#!` text, say) only the kernel knows, and what exe then shows.
  bool unknown = plan.unnamed || !plan.readable;
  if (!unknown) task.exec->exe = program.view_path;
  if (plan.identity && program.identity && !plan.needs_loader) return Outcome::as_is();
  if (plan.unnamed) task.exec->exe = request.unnamed_exe;
  task.exec->name = request.name;
  Result<void> loadable = check_loadable(call, plan);
  if (plan.needs_loader && !loadable.ok()) return Outcome::error(loadable.error());
  // The kernel names a task by the last component of what it is told to run.
  std::string_view given = base_name(program.found.host);
  bool misnamed = given.substr(0, kCommSize) != request.comm.substr(0, kCommSize);
  bool loader = plan.needs_loader || (misnamed && loadable.ok());
  if (loader) {
    task.exec->comm = request.comm.substr(0, kCommSize);
    task.exec->interpreter = plan.interpreter;
    task.exec->program = program.view_path;
  }
  const std::string& host = loader ? call.session().loader : program.found.host;
  std::string text_to_run = with_room(host, request.name.size());
  Outcome out = Outcome::rewritten().path(request.path_argument, text_to_run);
  // What is left of an execveat is a plain path.
  if (request.path_argument == 1) out.arguments[4] = 0;
  if (!plan.front.empty()) {
    uint64_t argv = call.argument(request.argv_argument);
    Result<Outcome::Text> text = build_argv(call, plan, argv, request.argv_argument);
    if (!text.ok()) return Outcome::error(text.error());
    out.texts.push_back(std::move(*text));
  }
  return out;
}

Outcome exec_in_view(Call& call, Request request) {
  Result<void> fit = check_program(call, &request.program);
  if (!fit.ok()) return Outcome::error(fit.error());
  Plan plan;
  plan.program = std::move(request.program);
  plan.shown = request.name;
  plan.closes = request.closes;
  plan.unnamed = request.unnamed;
  for (int depth = 0;; ++depth) {
    Result<bool> changed = next_program(call, &plan);
    if (!changed.ok()) return Outcome::error(changed.error());
    if (!*changed) break;
    if (depth == kMaxInterpreters) return Outcome::error(ELOOP);
  }
  return start_planned(call, plan, request);
}

/// Is this descriptor closed by exec? `link` is its /proc/PID/fd/N.
bool closes_on_exec(std::string link) {
  size_t at = link.rfind("/fd/");
  if (at == std::string::npos) return false;
  std::ifstream file(link.replace(at, 4, "/fdinfo/"));
  std::string word;
  while (file >> word) {
    if (word != "flags:") continue;
    unsigned flags = 0;
    return static_cast<bool>(file >> std::oct >> flags) && (flags & O_CLOEXEC) != 0;
  }
  return false;
}

constexpr std::string_view kDeleted = " (deleted)";

std::string without_deleted(std::string_view text) {
  if (text.ends_with(kDeleted)) text.remove_suffix(kDeleted.size());
  return std::string(text);
}

/// A program that only a magic link names: a memory file, a deleted one. The kernel follows it.
void take_unnamed(const View& view, const std::string& link, const std::string& view_path,
                  Request* request) {
  struct stat st {};
  char shown[PATH_MAX];
  ssize_t n = readlink(link.c_str(), shown, sizeof shown);
  std::string exe(shown, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  std::optional<std::string> seen = view.reverse(without_deleted(exe));
  request->unnamed_exe = seen ? *seen + std::string(kDeleted) : exe;
  Walked& program = request->program;
  bool regular = stat(link.c_str(), &st) == 0 && S_ISREG(st.st_mode);
  program.found.kind = Found::Kind::kNode;
  program.found.type = regular ? NodeType::kRegular : NodeType::kUnknown;
  program.found.host = link;
  program.view_path = view_path;
  program.identity = true;
  request->unnamed = true;
  request->closes = closes_on_exec(link);
}

Outcome exec_path(Call& call, DirFd dir, const UserPath& path, bool follow, Request request) {
  WalkFlags flags;
  flags.follow = follow;
  flags.want_exists = true;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  request.comm = base_name(request.name);
  request.program = std::move(*walked);
  if (request.program.proc_magic) {
    std::string link = request.program.found.host;
    take_unnamed(call.view(), link, link, &request);
  } else if (!follow && request.program.found.type == NodeType::kSymlink) {
    return Outcome::error(ELOOP);
  }
  return exec_in_view(call, std::move(request));
}

/// execveat(fd, "", AT_EMPTY_PATH).
Outcome exec_descriptor(Call& call, DirFd dir, Request request) {
  if (dir.value == AT_FDCWD) return Outcome::error(EACCES);
  Result<OpenObject> object = call.object(dir.value);
  if (!object.ok()) return Outcome::error(object.error());
  std::string link = call.fd_path(dir.value);
  request.comm = base_name(without_deleted(object->host));
  WalkFlags flags;
  flags.follow = false;
  flags.want_exists = true;
  Result<Walked> walked = Errno(ENOENT);
  if (object->view_path) walked = call.walk({AT_FDCWD}, {*object->view_path, 0}, flags);
  struct stat held {};
  struct stat named {};
  bool same = walked.ok() && walked->found.kind == Found::Kind::kNode &&
              stat(link.c_str(), &held) == 0 && lstat(walked->found.host.c_str(), &named) == 0 &&
              held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  if (same) {
    request.program = std::move(*walked);
    request.comm = base_name(request.program.view_path);
  } else {
    // By the time of the loader's open this thread may have another number.
    take_unnamed(call.view(), link, "/proc/self/fd/" + std::to_string(dir.value), &request);
  }
  return exec_in_view(call, std::move(request));
}

}  // namespace

Outcome sys_execve(Call& call, UserPath path, uint64_t, uint64_t) {
  Request request;
  request.name = path.text;
  return exec_path(call, {AT_FDCWD}, path, true, std::move(request));
}

Outcome sys_execveat(Call& call, DirFd dir, UserPath path, uint64_t, uint64_t, Flags flags) {
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0) return Outcome::error(EINVAL);
  if (path.text.empty() && (flags & AT_EMPTY_PATH) == 0) return Outcome::error(ENOENT);
  Request request;
  request.name = path.text;
  request.path_argument = 1;
  request.argv_argument = 2;
  // fs/exec.c, alloc_bprm
  if (dir.value != AT_FDCWD && !path.text.starts_with('/')) {
    request.name = "/dev/fd/" + std::to_string(dir.value);
    if (!path.text.empty()) request.name += "/" + path.text;
    request.closes = closes_on_exec(call.fd_path(dir.value));
  }
  if (path.text.empty()) return exec_descriptor(call, dir, std::move(request));
  return exec_path(call, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, std::move(request));
}

}  // namespace viewsh

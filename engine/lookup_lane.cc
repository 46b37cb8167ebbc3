#include "lookup_lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "base/path.h"
#include "syscalls/mapping.h"

namespace viewsh {

namespace {

/// A program that looks up less doesn't get the code for it, which costs six stops.
constexpr int kEnoughCalls = 8;
constexpr size_t kMostSites = 48;

/// Which arguments of a call say where a name is looked up; `dir` -1: the working directory,
/// `path` -1: the directory itself.
struct LookupCall {
  long nr;
  int dir;
  int path;
};
constexpr LookupCall kCalls[] = {
    {SYS_newfstatat, 0, 1},  {SYS_openat, 0, 1},     {SYS_statx, 0, 1},       {SYS_access, -1, 0},
    {SYS_faccessat, 0, 1},   {SYS_readlink, -1, 0},  {SYS_readlinkat, 0, 1},  {SYS_stat, -1, 0},
    {SYS_getdents64, 0, -1}, {SYS_lstat, -1, 0},     {SYS_open, -1, 0},       {SYS_getxattr, -1, 0},
    {SYS_lgetxattr, -1, 0},  {SYS_listxattr, -1, 0}, {SYS_llistxattr, -1, 0}, {SYS_fstat, 0, -1}};

const LookupCall* lookup_call(const Registers& regs) {
  const auto nr = static_cast<long>(regs.orig_rax);
  for (const LookupCall& call : kCalls) {
    if (call.nr != nr) continue;
    const uint64_t flags = nr == SYS_open ? regs.rsi : regs.rdx;
    const bool opens = nr == SYS_open || nr == SYS_openat;
    return opens && (static_cast<uint32_t>(flags) & kNoNativeOpen) != 0 ? nullptr : &call;
  }
  return nullptr;
}

bool write_word(Task& task, uint64_t at, uint64_t value) {
  return pwrite(memory_of(task), &value, sizeof value, static_cast<off_t>(at)) == sizeof value;
}

uint64_t data_at(const AddressSpace& mm, size_t offset) {
  return mm.lookup.at + LookupCode::kDataAt + offset;
}

/// Is the working directory the same for all who share the memory, and one of the present view?
bool may_tell_cwd(const Task& task) {
  const FsContext& fs = *task.fs;
  const bool shared = task.mm.use_count() != task.fs.use_count();
  return !shared && !fs.cwd_gone && !fs.cwd_view && fs.root == "/";
}

/// A mapping of the table's file, or without one memory of the process's own. `at` 0: anywhere.
void ask_to_map(Registers* regs, uint64_t at, size_t size, int fd, size_t offset = 0) {
  regs->orig_rax = SYS_mmap;
  regs->rdi = at;
  regs->rsi = size;
  regs->rdx = fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ;
  const int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  regs->r10 = static_cast<unsigned>(kind | (at != 0 ? MAP_FIXED : 0));
  regs->r8 = static_cast<uint64_t>(fd);
  regs->r9 = offset;
}

/// Where it can't be written, there is no such memory any more, nor the code that would look there.
void tell(Task& task, size_t offset, uint64_t value) {
  (void)write_word(task, data_at(*task.mm, offset), value);
}

/// `host`: of the directory, if the process is to know it.
void set_cwd(Task& task, uint64_t hash, const std::string& host) {
  LookupState& state = task.mm->lookup;
  if (state.cwd != hash) tell(task, offsetof(LookupData, cwd), hash);
  state.cwd = hash;
  if (state.answers == 0 || state.cwd_host == host) return;
  state.cwd_host = host;
  // In this order, in which other threads look.
  tell(task, offsetof(LookupData, cwd_ino), 0);
  struct stat st {};
  const std::string link = "/proc/" + std::to_string(task.tid) + "/cwd";
  if (host.empty() || stat(link.c_str(), &st) < 0) return;
  tell(task, offsetof(LookupData, cwd_dev), st.st_dev);
  tell(task, offsetof(LookupData, cwd_ino), st.st_ino);
}

}  // namespace

bool LookupLane::usable() {
  if (!asked_) {
    asked_ = true;
    // In this order: nothing may be said while nobody listens.
    usable_ = !session_->lookup_file.empty() && table_->make(session_->lookup_file).ok();
    native_ = usable_ && session_->native_lookups && session_->view->mark_names(table_);
    usable_ = usable_ && (native_ || wants_answers()) && marks_->know_marks();
  }
  return usable_;
}

/// Is there something that never changes, or may it come?
bool LookupLane::wants_answers() const {
  const auto& mounts = session_->view->mounts();
  return session_->mounter != nullptr ||
         std::any_of(mounts.begin(), mounts.end(),
                     [](const auto& mount) { return mount->is_constant(); });
}

bool LookupLane::begin(Task& task) {
  AddressSpace& mm = *task.mm;
  LookupData data;
  const std::string& path = table_->path();
  const auto code = LookupCode::text();
  if (path.size() >= sizeof data.table_path || code.size() > LookupCode::kTextSize) return false;
  path.copy(data.table_path, path.size());
  data.native = native_ ? 1 : 0;
  mm.lookup.at = mm.arenas.front().lookup();
  const int fd = memory_of(task);
  const auto put = [fd](const void* bytes, size_t size, uint64_t at) {
    return pwrite(fd, bytes, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
  };
  return put(code.data(), code.size(), mm.lookup.at) &&
         put(&data, sizeof data, mm.lookup.at + LookupCode::kDataAt);
}

void LookupLane::follow(Task& task, Call& call) {
  LookupState& state = task.mm->lookup;
  const bool counts = state.stage == LookupState::Stage::kCounting && call.constant() != nullptr;
  if (!counts && state.stage != LookupState::Stage::kReady) return;
  if (lookup_call(call.regs()) == nullptr || task.fs->root != "/") return;
  if (call.constant() != nullptr && AnswerLane::asks_for_name(call)) ++state.names;
  if (counts) {
    if (!session_->native_lookups) ++state.calls;
    return;
  }
  refresh(task);
  change_code(task, call.regs());
  if (native_) learn(call);
  if (state.answers != 0 && call.constant() != nullptr) answers_.learn(call);
}

LookupLane::Need LookupLane::prepare(Task& task, const Registers& regs) {
  AddressSpace& mm = *task.mm;
  LookupState& state = mm.lookup;
  using Stage = LookupState::Stage;
  if (state.stage >= Stage::kReady || lookup_call(regs) == nullptr) return Need::kNothing;
  const bool native = session_->native_lookups;
  // Where the view decides, follow() counts.
  if (state.stage == Stage::kCounting && !native && state.calls < kEnoughCalls)
    return Need::kNothing;
  if (task.filters || task.fs->root != "/" || session_->identity != nullptr || !usable())
    return Need::kNothing;
  // A thread on its way through the code could find half of it changed.
  if (task.mm.use_count() != 1) return Need::kNothing;
  if (state.stage == Stage::kCounting) {
    if (native && ++state.calls < kEnoughCalls) return Need::kNothing;
    if (mm.arenas.empty()) {
      if (may_ask_for_memory(task, regs, StubArena::kSize, true)) return Need::kArena;
      state.stage = Stage::kOff;
      return Need::kNothing;
    }
    state.stage = begin(task) ? Stage::kOpen : Stage::kOff;
  }
  return state.stage == Stage::kOff ? Need::kNothing : Need::kCall;
}

void LookupLane::ask(const Task& task, Registers* regs) const {
  const LookupState& state = task.mm->lookup;
  switch (state.stage) {
    case LookupState::Stage::kOpen:
      regs->orig_rax = SYS_openat;
      regs->rdi = static_cast<uint64_t>(AT_FDCWD);
      regs->rsi = data_at(*task.mm, offsetof(LookupData, table_path));
      regs->rdx = O_RDONLY | O_CLOEXEC;
      regs->r10 = 0;
      return;
    case LookupState::Stage::kMap:
      return ask_to_map(regs, state.at + LookupCode::kTableAt, kLookupTableSize, state.fd);
    case LookupState::Stage::kAnswers:
      return ask_to_map(regs, 0, kAnswerTableSize, state.fd, kLookupTableSize);
    case LookupState::Stage::kCache:
      return ask_to_map(regs, state.at + LookupCode::kCacheAt, LookupCode::kCacheSize, -1);
    default:
      regs->orig_rax = SYS_close;
      regs->rdi = static_cast<uint64_t>(state.fd);
  }
}

void LookupLane::answered(Task& task, long result) {
  LookupState& state = task.mm->lookup;
  using Stage = LookupState::Stage;
  switch (state.stage) {
    case Stage::kOpen:
      state.fd = static_cast<int>(result);
      state.stage = result < 0 ? Stage::kOff : Stage::kMap;
      return;
    case Stage::kMap:
      state.mapped = static_cast<uint64_t>(result) == state.at + LookupCode::kTableAt;
      state.stage = wants_answers() ? Stage::kAnswers : Stage::kClose;
      return;
    case Stage::kAnswers:
      if (result > 0) {
        state.answers = static_cast<uint64_t>(result);
        tell(task, offsetof(LookupData, answers), state.answers);
      }
      state.stage = Stage::kClose;
      return;
    case Stage::kClose:
      state.stage = state.mapped ? Stage::kCache : Stage::kOff;
      return;
    case Stage::kCache: {
      const bool mapped = static_cast<uint64_t>(result) == state.at + LookupCode::kCacheAt;
      const uint64_t enabled = data_at(*task.mm, offsetof(LookupData, enabled));
      const bool useful = mapped && (native_ || state.answers != 0);
      state.stage = useful && write_word(task, enabled, 1) ? Stage::kReady : Stage::kOff;
      return;
    }
    default:
      return;
  }
}

void LookupLane::refresh(Task& task) {
  if (task.mm->lookup.stage != LookupState::Stage::kReady) return;
  if (!may_tell_cwd(task)) return set_cwd(task, 0, "");
  const FsContext& fs = *task.fs;
  // The hash is that of a directory which the kernel has at the same path.
  const bool same = fs.cwd == fs.kernel_cwd;
  set_cwd(task, same ? hash_of(std::string_view(fs.cwd).substr(1)) : 0, fs.kernel_cwd);
}

bool LookupLane::recover(const Task& task, Registers* regs) {
  const LookupState& state = task.mm->lookup;
  if (state.at == 0) return false;
  if (regs->rip == state.at + LookupCode::copy()) {
    regs->rip = state.at + LookupCode::stop();
  } else if (regs->rip == state.at + LookupCode::fetch()) {
    regs->rip = state.at + LookupCode::unread();
  } else {
    return false;
  }
  return true;
}

void LookupLane::before(Task& task, long nr) {
  LookupState& state = task.mm->lookup;
  if (state.stage != LookupState::Stage::kReady) return;
  switch (nr) {
    case SYS_chdir:
    case SYS_fchdir:
      return set_cwd(task, 0, "");
    case SYS_chroot:
    case SYS_pivot_root:
    case SYS_unshare:
    case SYS_setns:
    case SYS_seccomp:
    case SYS_prctl:  // which of its requests is trapped may install a filter
      return end(task);
    default:
      return;
  }
}

void LookupLane::end(Task& task) {
  LookupState& state = task.mm->lookup;
  if (state.stage == LookupState::Stage::kReady) {
    // Where it can't be written, there is no such code any more either.
    (void)write_word(task, data_at(*task.mm, offsetof(LookupData, enabled)), 0);
  }
  state.stage = LookupState::Stage::kOff;
}

/// Leads the program's system call that `regs` stand behind to LookupCode.
void LookupLane::change_code(Task& task, const Registers& regs) {
  AddressSpace& mm = *task.mm;
  std::vector<uint64_t>& known = mm.lookup.known;
  if (task.mm.use_count() != 1 || known.size() >= kMostSites) return;
  const auto nr = static_cast<long>(regs.orig_rax);
  const bool by_heart = mm.lookup.answers != 0 && AnswerLane::answers(nr);
  if (!by_heart && (!native_ || nr == SYS_fstat)) return;
  if (std::find(known.begin(), known.end(), regs.rip) != known.end()) return;
  known.push_back(regs.rip);
  if (mm.arenas.empty() || mm.arenas.front().lookup() != mm.lookup.at) return;
  if (mm.sites.size() >= FstatCode::kMostSites || !marks_->open_lane(task)) return;
  const std::optional<NumberSite> number = find_number(ProcessMemory(task.tid), regs);
  if (!number) return;
  const uint64_t at = mm.lane + mm.sites.size() * FstatCode::kSize;
  const auto jump = lookup_jump(number->site, at);
  const auto code = make_lookup_call(*number, static_cast<uint32_t>(regs.orig_rax), at,
                                     mm.lookup.at + LookupCode::entry());
  const ssize_t put = pwrite(memory_of(task), code.data(), code.size(), static_cast<off_t>(at));
  if (!jump || put != static_cast<ssize_t>(code.size())) return;
  if (write_code(task.tid, number->site.at, *jump)) mm.sites.push_back(number->site);
}

bool LookupLane::shows(const std::string& path) const {
  return session_->view->shows_host("/" + path);
}

/// The directory that a path begins at: canonical, without a slash in front.
bool LookupLane::learn_base(Call& call, int dir, const std::string& text, std::string* path,
                            uint64_t* hash) {
  *hash = kNoPath;
  if (text.starts_with('/')) return true;
  if (dir == AT_FDCWD) {
    *hash = call.task().mm->lookup.cwd;
    *path = call.task().fs->cwd.substr(1);
    return *hash != 0;
  }
  struct stat st {};
  if (stat(call.fd_path(dir).c_str(), &st) < 0 || !S_ISDIR(st.st_mode)) return false;
  Result<Walked> walked = call.walk_fd(dir);
  // The host's own directory, not what stands for it in a layer.
  struct stat host {};
  if (!walked.ok() || lstat(walked->view_path.c_str(), &host) < 0) return false;
  if (host.st_dev != st.st_dev || host.st_ino != st.st_ino) return false;
  *path = walked->view_path.substr(1);
  *hash = hash_of(*path);
  const uint64_t key = directory_key(st.st_dev, st.st_ino);
  if (!table_->has(key) && shows(*path)) table_->add(key, *hash);
  return true;
}

/// The directory that this call looked into is put into the table, if the host's names are the
/// view's there.
void LookupLane::learn(Call& call) {
  const LookupCall* how = lookup_call(call.regs());
  if (how->nr == SYS_fstat) return;
  const int dir =
      how->dir < 0 ? AT_FDCWD : static_cast<int>(call.argument(static_cast<unsigned>(how->dir)));
  std::string path;
  HashedName hashed;
  uint64_t base = 0;
  if (how->path < 0) {
    (void)learn_base(call, dir, "", &path, &base);
    return;
  }
  Result<std::string> text =
      call.memory().read_string(call.argument(static_cast<unsigned>(how->path)), PATH_MAX);
  if (!text.ok() || text->empty()) return;
  if (!learn_base(call, dir, *text, &path, &base)) return;
  if (hash_path(text->c_str(), base, &hashed) && table_->has(hashed.dir)) return;
  std::string_view rest = *text;
  rest = rest.substr(0, rest.rfind('/') == std::string_view::npos ? 0 : rest.rfind('/'));
  for (std::string_view part : components(rest)) {
    if (part == ".") continue;
    if (part == "..") break;
    path += path.empty() ? "" : "/";
    path += part;
  }
  learn_up(std::move(path));
}

/// The directory, and those above it, from which the code finds its way to others.
void LookupLane::learn_up(std::string path) {
  while (true) {
    const uint64_t hash = hash_of(path);
    if (table_->has(hash)) return;
    if (shows(path)) table_->add(hash, hash);
    if (path.empty()) return;
    const size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
}

}  // namespace viewsh

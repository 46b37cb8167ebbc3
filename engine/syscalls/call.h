#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "syscalls/session.h"
#include "tracee/memory.h"
#include "vfs/walk.h"

namespace viewsh {

/// Argument types: a handler's signature is its decoder.
struct Fd {
  int value = -1;
};
struct DirFd {
  int value = -1;
};
/// A path argument, read: EFAULT and ENAMETOOLONG are answered before the handler runs.
struct UserPath {
  std::string text;
  unsigned argument = 0;  ///< index of the register that points to it
};
/// A path argument that may be NULL.
struct OptionalPath {
  bool null = false;
  UserPath path;
};

/// What becomes of a trapped call. A value; the engine alone applies it.
struct Outcome {
  enum class Kind {
    kRunAsIs,    ///< the kernel answers the call as the program made it
    kReturn,     ///< answered by us: `value`
    kRewritten,  ///< the kernel runs the call with other arguments
    kNeedMemory, ///< map `value` bytes in the task, then start over
  };
  /// Bytes to be placed in the task's memory, their address going into an argument.
  struct Text {
    unsigned argument = 0;
    std::string bytes;
    /// At the first offset goes the address of the second: pointers inside the text.
    std::vector<std::pair<size_t, size_t>> pointers = {};
  };
  Kind kind = Kind::kRunAsIs;
  long value = 0;
  long nr = -1;  ///< kRewritten: another call; -1: the same
  std::array<std::optional<uint64_t>, 6> arguments;
  std::vector<Text> texts;
  std::function<long(long)> at_exit;  ///< set: stop at the end, the result goes through it
  bool changes_host = false;          ///< the path cache can't be trusted until the call is over

  static Outcome as_is() { return {}; }
  static Outcome result(long value) {
    Outcome out;
    out.kind = Kind::kReturn;
    out.value = value;
    return out;
  }
  static Outcome error(Errno error) { return result(-error.value()); }
  static Outcome error(int error) { return result(-error); }
  static Outcome of(const Result<void>& done) { return done.ok() ? result(0) : error(done.error()); }
  static Outcome rewritten() {
    Outcome out;
    out.kind = Kind::kRewritten;
    return out;
  }
  /// Adds work for the end of the call; it gets what the work added before made of the result.
  void then(std::function<long(long)> work) {
    if (!at_exit) {
      at_exit = std::move(work);
      return;
    }
    at_exit = [before = std::move(at_exit), work = std::move(work)](long call_result) {
      return work(before(call_result));
    };
  }
  /// A host path, of any length.
  Outcome&& path(unsigned argument, const std::string& text) &&;
  Outcome&& set(unsigned argument, uint64_t argument_value) && {
    arguments[argument] = argument_value;
    return std::move(*this);
  }
};

/// A descriptor of a task, looked up in the kernel: what it refers to.
struct OpenObject {
  std::string host;                     ///< text of /proc/PID/fd/N
  std::optional<std::string> view_path; ///< where the view shows it
};

/// One trapped call on its way: who made it, with which arguments, in which view.
class Call {
 public:
  Call(Session& session, Task& task, const TraceeMemory& memory, const Registers& regs)
      : session_(session), task_(task), memory_(memory), regs_(regs), caller_(session.caller(task)) {}

  Session& session() { return session_; }
  Task& task() { return task_; }
  const TraceeMemory& memory() const { return memory_; }
  const Registers& regs() const { return regs_; }
  const Caller& caller() const { return caller_; }
  const View& view() const { return *session_.view; }
  uint64_t argument(unsigned index) const;

  /// Walks a path argument from the working directory or a directory descriptor.
  /// Errors: as walk(); EBADF, ENOTDIR of the descriptor.
  Result<Walked> walk(DirFd dir, const UserPath& path, WalkFlags flags);
  Result<WalkStart> start_of(DirFd dir);
  /// What a descriptor refers to. EBADF.
  Result<OpenObject> object(int fd) const;
  /// The place in the view of a descriptor's object. EBADF; ENOENT where the view doesn't show it.
  Result<Walked> walk_fd(int fd);
  /// An object that the view shows nowhere, behind a magic link of procfs: may its inode be changed
  /// natively? Only what is open for writing already, or has no name on the host either.
  static bool changeable(const std::string& link);
  /// The descriptor is open by O_PATH: calls on the object itself say EBADF.
  bool is_path_only(int fd) const;
  /// /proc/PID/fd/N of this task.
  std::string fd_path(int fd) const;

  /// The path arguments that were read, for --trace.
  const std::vector<UserPath>& paths() const { return paths_; }
  void note_path(const UserPath& path) {
    if (keep_paths_) paths_.push_back(path);
  }
  void keep_paths() { keep_paths_ = true; }

  /// The caller may search a directory whose attributes are the view's; of others the kernel decides.
  /// EACCES, ENOTDIR.
  Result<void> may_search(const Walked& walked);

  /// The call as it is where the kernel arrives at the same place, with the host path else.
  Outcome run_on(const Walked& walked, const UserPath& path);
  /// The same, for a call that makes, removes or changes names of the host.
  Outcome change_on(const Walked& walked, const UserPath& path);

 private:
  Result<Walked> walk_from_removed(const UserPath& path, WalkFlags flags);
  Session& session_;
  Task& task_;
  const TraceeMemory& memory_;
  const Registers& regs_;
  Caller caller_;
  bool keep_paths_ = false;
  std::vector<UserPath> paths_;
};

/// The host path with the trailing slash that the program's text had.
std::string host_text(const Walked& walked);

using Handler = Outcome (*)(Call&);

namespace decode {

template <typename T>
struct Decode {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
  static Result<T> get(Call& call, unsigned index) { return static_cast<T>(call.argument(index)); }
};
template <typename T>
struct Decode<Addr<T>> {
  static Result<Addr<T>> get(Call& call, unsigned index) { return Addr<T>{call.argument(index)}; }
};
template <>
struct Decode<Fd> {
  static Result<Fd> get(Call& call, unsigned index) {
    return Fd{static_cast<int>(call.argument(index))};
  }
};
template <>
struct Decode<DirFd> {
  static Result<DirFd> get(Call& call, unsigned index) {
    return DirFd{static_cast<int>(call.argument(index))};
  }
};
template <>
struct Decode<UserPath> {
  static Result<UserPath> get(Call& call, unsigned index);
};
template <>
struct Decode<OptionalPath> {
  static Result<OptionalPath> get(Call& call, unsigned index);
};

template <typename... A, size_t... I>
Outcome invoke(Outcome (*handler)(Call&, A...), Call& call, std::index_sequence<I...>) {
  std::tuple<Result<A>...> arguments{Decode<A>::get(call, I)...};
  Errno error;
  ((void)(error == 0 && !std::get<I>(arguments).ok() ? (error = std::get<I>(arguments).error(), 0) : 0),
   ...);
  if (!(error == 0)) return Outcome::error(error);
  return handler(call, std::move(*std::get<I>(arguments))...);
}

template <typename... A>
Outcome invoke_all(Outcome (*handler)(Call&, A...), Call& call) {
  return invoke(handler, call, std::index_sequence_for<A...>{});
}

}  // namespace decode

/// Makes a table's Handler of a typed one.
template <auto F>
Outcome bind_handler(Call& call) {
  return decode::invoke_all(F, call);
}

}  // namespace viewsh

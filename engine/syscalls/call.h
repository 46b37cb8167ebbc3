#pragma once

#include <array>
#include <climits>
#include <concepts>
#include <functional>
#include <span>
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

/// Bits of which each has a meaning: --trace shows them in hexadecimal.
struct Flags {
  int value = 0;
  operator int() const { return value; }  // NOLINT: it is an int to all who work with it
};
/// Permission bits, and the type of a node for mknod(2): shown in octal.
struct Mode {
  mode_t value = 0;
  operator mode_t() const { return value; }  // NOLINT: as above
};

/// What a register is to the handler of the call.
enum class ArgumentKind : uint8_t { kInt, kUnsigned, kLong, kDirFd, kFlags, kMode, kAddress };

/// What becomes of a trapped call. A value; the engine alone applies it.
struct Outcome {
  enum class Kind {
    kRunAsIs,     ///< the kernel answers the call as the program made it
    kReturn,      ///< answered by us: `value`
    kRewritten,   ///< the kernel runs the call with other arguments
    kNeedMemory,  ///< map the memory for rewritten calls in the task, then start over
  };
  /// What at_exit says where the program's own call has to be made again, from its start.
  static constexpr long kAgain = LONG_MIN;
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
  static Outcome of(const Result<void>& done) {
    return done.ok() ? result(0) : error(done.error());
  }
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
  std::string host;                      ///< text of /proc/PID/fd/N
  std::optional<std::string> view_path;  ///< where the view shows it
};

/// A place that a call came to: for who records what a run uses.
struct Visit {
  std::string text;  ///< absolute or from the working directory; empty: by a descriptor
  Result<Walked> walked = Errno(ENOENT);
  std::vector<FollowedLink> followed;
};

/// One trapped call on its way: who made it, with which arguments, in which view.
class Call {
 public:
  Call(Session& session, Task& task, const TraceeMemory& memory, const Registers& regs)
      : session_(session),
        task_(task),
        memory_(memory),
        regs_(regs),
        caller_(session.caller(task)) {}

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
  /// `look`: whether there (still) is something is found out.
  Result<Walked> walk_fd(int fd, bool look = false);
  /// An object that the view shows nowhere, behind a magic link of procfs: may its inode be changed
  /// natively? Only what is open for writing already, has no name on the host either, or is none of
  /// a tree that is only read.
  bool changeable(const std::string& link) const;
  /// Does the view show the object of a descriptor? `walked` is walk_fd()'s.
  static bool shown(const Result<Walked>& walked) {
    return walked.ok() && walked->found.kind == Found::Kind::kNode;
  }
  /// The descriptor is open on the host's object at the place, not on a lower one that was copied
  /// there since.
  bool is_open_on(int fd, const Walked& walked) const;
  /// A change through a descriptor of what the view doesn't show (any more): a file of the lower
  /// tree that was removed or replaced here must not change there.
  Outcome unshown(int fd) const;
  /// The descriptor is open by O_PATH: calls on the object itself say EBADF.
  bool is_path_only(int fd) const;
  /// /proc/PID/fd/N of this task.
  std::string fd_path(int fd) const;

  /// For --trace: what the handler takes, and the path arguments that were read.
  std::span<const ArgumentKind> signature() const { return signature_; }
  void note_signature(std::span<const ArgumentKind> kinds) { signature_ = kinds; }
  const std::vector<UserPath>& paths() const { return paths_; }
  void note_path(const UserPath& path) {
    if (keep_arguments_) paths_.push_back(path);
  }
  void keep_arguments() { keep_arguments_ = true; }
  /// For --learn: what was walked to, in order.
  const std::vector<Visit>& visits() const { return visits_; }
  void keep_visits() { keep_visits_ = true; }
  bool keeps_visits() const { return keep_visits_; }
  /// Where the last walk came to, if that is in a file system that never changes; else null.
  const Walked* constant() const { return constant_ ? &*constant_ : nullptr; }

  /// The caller may search a directory whose attributes are the view's; of others the kernel
  /// decides. EACCES, ENOTDIR.
  Result<void> may_search(const Walked& walked);

  /// Has the host object of a node made where that waits until it is wanted (Found::deferred).
  /// Errors as open(2) with `flags`.
  Result<void> have_content(Walked* walked, int flags, const Caller& caller);

  /// The call as it is where the kernel arrives at the same place, with the host path else.
  Outcome run_on(const Walked& walked, const UserPath& path);
  /// The same, for a call that makes, removes or changes names of the host.
  Outcome change_on(const Walked& walked, const UserPath& path);

 private:
  const Result<Walked>& note(const Result<Walked>& walked);
  Result<Walked> find(DirFd dir, const UserPath& path, WalkFlags flags);
  Result<Walked> find_fd(int fd, bool look);
  Result<Walked> find_fd_by_path(int fd, bool look);
  Errno nothing_in(const std::string& link) const;
  Result<Walked> look_at(const View& view, const std::string& view_path, bool look);
  Result<Walked> walk_from_removed(const UserPath& path, WalkFlags flags);
  Session& session_;
  Task& task_;
  const TraceeMemory& memory_;
  const Registers& regs_;
  Caller caller_;
  bool keep_arguments_ = false;
  std::span<const ArgumentKind> signature_;  ///< static, by the handler's type
  std::vector<UserPath> paths_;
  bool keep_visits_ = false;
  std::vector<Visit> visits_;
  std::optional<Walked> constant_;
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
struct Decode<Flags> {
  static Result<Flags> get(Call& call, unsigned index) {
    return Flags{static_cast<int>(call.argument(index))};
  }
};
template <>
struct Decode<Mode> {
  static Result<Mode> get(Call& call, unsigned index) {
    return Mode{static_cast<mode_t>(call.argument(index))};
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

/// A path that can't be read is shown as the address that it is.
template <typename T>
inline constexpr ArgumentKind kKindOf = ArgumentKind::kAddress;
template <std::integral T>
inline constexpr ArgumentKind kKindOf<T> = sizeof(T) > sizeof(int) ? ArgumentKind::kLong
                                           : std::is_signed_v<T>   ? ArgumentKind::kInt
                                                                   : ArgumentKind::kUnsigned;
template <>
inline constexpr ArgumentKind kKindOf<Fd> = ArgumentKind::kInt;
template <>
inline constexpr ArgumentKind kKindOf<DirFd> = ArgumentKind::kDirFd;
template <>
inline constexpr ArgumentKind kKindOf<Flags> = ArgumentKind::kFlags;
template <>
inline constexpr ArgumentKind kKindOf<Mode> = ArgumentKind::kMode;

template <typename... A>
inline constexpr std::array<ArgumentKind, sizeof...(A)> kSignature{kKindOf<A>...};

template <typename... A, size_t... I>
Outcome invoke(Outcome (*handler)(Call&, A...), Call& call, std::index_sequence<I...>) {
  std::tuple<Result<A>...> arguments{Decode<A>::get(call, I)...};
  Errno error;
  ((void)(error == 0 && !std::get<I>(arguments).ok() ? (error = std::get<I>(arguments).error(), 0)
                                                     : 0),
   ...);
  if (!(error == 0)) return Outcome::error(error);
  return handler(call, std::move(*std::get<I>(arguments))...);
}

template <typename... A>
Outcome invoke_all(Outcome (*handler)(Call&, A...), Call& call) {
  call.note_signature(kSignature<A...>);
  return invoke(handler, call, std::index_sequence_for<A...>{});
}

}  // namespace decode

/// Makes a table's Handler of a typed one.
template <auto F>
Outcome bind_handler(Call& call) {
  return decode::invoke_all(F, call);
}

}  // namespace viewsh

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "syscalls/session.h"
#include "vfs/walk.h"

namespace viewsh {

/// The file that is open (a link in /proc/PID/fd) is the one that the path leads to now.
bool same_file(const std::string& link, const std::string& host);

/// The id that an entry of the auxiliary vector tells (AT_UID, AT_EGID...); nullopt: none of them.
std::optional<uint32_t> auxiliary_id(const Credentials& who, uint64_t type);

/// The lines that /proc/mounts has more for who bound something over "/" for himself.
std::string bound_mounts_text(const View& view, const FsContext& fs);

/// /proc as one task of a view sees it.
class TaskProcView : public ProcView {
 public:
  TaskProcView(const Session& session, const Task& task) : session_(session), task_(task) {}
  std::string self() const override;
  std::string thread_self() const override;
  bool hidden(std::string_view pid) const override;
  std::optional<std::string> magic_target(std::string_view inside) const override;
  bool leads_to_directory(std::string_view inside) const override;
  /// What readlink(2) of a magic link answers; nullopt: as the kernel says.
  std::optional<std::string> magic_text(std::string_view inside) const;
  /// The content of a file of /proc that tells of the view (mounts, maps, status...); nullopt: the
  /// kernel's own is right. ENOENT, EACCES as Errno.
  Result<std::optional<std::string>> content(std::string_view inside) const;

 private:
  const Task* owner(std::string_view inside, std::string_view* name) const;
  const Session& session_;
  const Task& task_;
};

}  // namespace viewsh

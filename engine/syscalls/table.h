#pragma once

#include <span>
#include <string_view>

#include "syscalls/call.h"
#include "tracee/filter.h"

namespace viewsh {

/// Why a call is trapped: the part of a view that asks for it. Bits.
enum class Trap : uint16_t {
  kSafe = 0,      ///< takes no path and changes no file's identity: runs as it is
  kPaths = 1,     ///< names files; any view that is not empty
  kObjects = 2,   ///< tells of or changes a node through a descriptor; a view with nodes of its own
  kQuota = 4,     ///< lets a file grow; a view with a limited file system
  kDevices = 8,   ///< ioctl(2), whatever it asks; a view with devices of its own
  kRecord = 16,   ///< a run of which is recorded what it uses
  kChanges = 18,  ///< kObjects of which a record has to know as well: changes through a descriptor
  kKept = 32,     ///< waits until something is on disk; a view with changes that outlive it
  kIdentity = 64,  ///< tells who a process is, or changes it; a view with an identity of its own
  kEnosys = 128,   ///< not in a view: fails with ENOSYS
  kCloses = 256,   ///< closes descriptors; only of processes that were made to (trace_closes())
  kMeta = 512,     ///< asks for flags or extended attributes; a view with a file system's own ones
  kWrites = 1024,  ///< changes a file by other means than a write(2); a view that compares contents
};

/// One system call. The table drives dispatch, filter, --trace, --stats and the docs.
struct Row {
  int nr;
  std::string_view name;
  Handler handler;
  Trap trap;
};

/// All rows, by number. A call that isn't among them is ENOSYS.
std::span<const Row> table();
/// Null for a number that the table doesn't know.
const Row* row_of(long nr);

/// What the filter has to do for a view that needs these traps (bits of Trap). `native_lookups`:
/// calls with kNativeLookup are let through.
FilterPlan filter_plan(unsigned traps, bool native_lookups = false);

}  // namespace viewsh

// FUSE servers of the view: how they hear that they aren't needed any more.
#include <sys/ptrace.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "server_wait.h"
#include "syscalls/close.h"
#include "syscalls/fuse_device.h"
#include "syscalls/mount_table.h"
#include "tracer.h"
#include "viewsh/close_listener.h"
#include "viewsh/served.h"

namespace viewsh {

namespace {

/// The codes that a call ends with which a signal, or a stop, cut off. errno.h of the kernel
bool is_cut_off(long result) {
  constexpr long kRestartSys = -512;
  constexpr long kRestartNoHand = -514;
  constexpr long kRestartBlock = -516;
  return result == kRestartSys || result == kRestartNoHand || result == kRestartBlock ||
         result == -EINTR;
}

bool is_served(const FileSystem& fs) { return dynamic_cast<const CloseListener*>(&fs) != nullptr; }

}  // namespace

bool Tracer::tell_servers(int round) {
  constexpr int kOften = 100;
  constexpr int kSeldom = 25;
  constexpr int kPatience = 50;
  if (round > kOften && round % kSeldom != 0) return true;
  FuseDevice* device = fuse_device_of(session_);
  if (device == nullptr || !device->has_unconnected()) return false;
  bool lost = false;
  for (const auto& [tid, task] : session_.tasks) {
    const ServerWait wait(*device, tid);
    lost = lost || wait.is_lost();
    // ESRCH: it has stopped already, or is gone.
    if (wait.answer()) (void)ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  }
  if (lost && round > kPatience) device->hang_up();
  return true;
}

void Tracer::serve_until(int control) {
  const Result<void> watched = parking_.watch(control, [this, control] {
    parking_.unwatch(control);
    if (FuseDevice* device = fuse_device_of(session_)) device->end_given();
    fuse_tell(session_);
  });
  // Then they see the end of their connections, a moment later.
  if (!watched.ok()) complain("a FUSE server: " + watched.error().message());
}

void Tracer::end_wait(Stopped& stopped) {
  FuseDevice* device = parking_.active() ? fuse_device_of(session_) : nullptr;
  if (device == nullptr || !stopped.load()) return;
  Registers& regs = stopped.regs();
  if (!is_cut_off(static_cast<long>(regs.rax))) return;
  const ServerWait wait(*device, stopped.tid(), regs);
  const std::optional<long> result = wait.answer();
  if (!result || !wait.write().ok()) return;
  regs.rax = static_cast<unsigned long long>(*result);
  regs.orig_rax = static_cast<unsigned long long>(-1);
  stopped.touch();
}

/// What lies in an image on a server: its own thread brings that to the image alone.
void Tracer::sync_on_servers() {
  constexpr int64_t kPeriodNs = 5'000'000'000;
  const int64_t now = monotonic_ns();
  if (syncing_ != 0 || now < next_sync_ns_) return;
  next_sync_ns_ = now + kPeriodNs;
  const MountTable table(session_);
  for (const auto& mount : session_.late) {
    const std::shared_ptr<FileSystem> fs = mount->own_fs();
    if (!fs->keeps() || fs->read_only() || is_served(*fs) || !table.leads_to_server(*mount))
      continue;
    ++syncing_;
    // What fails then fails again at the next fsync(2), or at the end.
    parking_.later([this, fs] {
      (void)fs->sync_all();
      --syncing_;
    });
  }
}

int Tracer::write_back_served() {
  constexpr int64_t kPeriodNs = 1'000'000'000;
  constexpr int64_t kMillisecond = 1'000'000;
  sync_on_servers();
  std::vector<std::shared_ptr<CloseListener>> all;
  for (auto& one : close_listeners(session_)) {
    const auto* served = dynamic_cast<const Served*>(one.get());
    if (served != nullptr && served->unwritten()) all.push_back(std::move(one));
  }
  const int64_t now = monotonic_ns();
  const bool due = write_back_ns_ != 0 && now >= write_back_ns_;
  if (write_back_ns_ == 0 || due) write_back_ns_ = now + kPeriodNs;
  if (all.empty()) write_back_ns_ = 0;
  for (const auto& one : all) {
    if (due) parking_.later([one] { dynamic_cast<Served&>(*one).write_back(); });
  }
  if (due && !all.empty()) return 0;
  return all.empty() ? -1 : static_cast<int>((write_back_ns_ - now) / kMillisecond) + 1;
}

/// Only FUSE servers are left, and what they started: they wait for requests that nobody makes any
/// more, and end when their mounts go.
void Tracer::end_servers_alone() {
  const FuseDevice* device = fuse_device_of(session_);
  if (!leader_gone_ || device == nullptr || session_.tasks.empty()) return;
  // There is another view that asks.
  if (device->gives()) return;
  for (const auto& [tid, task] : session_.tasks) {
    if (is_of_server(task->family.get())) continue;
    // It may have got the descriptor from fusermount(1).
    if (!device->is_held(tid)) return;
    task->family->fuse_server = true;
  }
  // What ends may wait for a server that is still needed, and another one be gone meanwhile.
  if (std::exchange(ending_servers_, true)) return;
  MountTable(session_).remove_served();
  ending_servers_ = false;
}

}  // namespace viewsh

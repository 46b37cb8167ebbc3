#include "fstat_lane.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "syscalls/mapping.h"

namespace viewsh {

namespace {

constexpr size_t kMostSites = 8;
/// A program that asks less often doesn't get an arena for that.
constexpr int kEnoughCalls = 4;

bool write_all(int fd, const void* data, size_t size, uint64_t at) {
  return pwrite(fd, data, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

}  // namespace

bool FstatLane::know_marks() {
  asked_ = true;
  usable_ = session_->view->mark_attr(this);
  return usable_;
}

void FstatLane::know(FileSystem& fs) {
  if (!asked_ || !usable_ || fs.mark_attr(this)) return;
  usable_ = false;
  for (uint64_t ino = 0; ino < LookupTable::kBits; ++ino) lookups_->mark_inode(ino);
  for (uint64_t ino = 0; ino < FstatCode::kMarks; ++ino) mark(ino);
}

bool FstatLane::marks_are_known() { return asked_ ? usable_ : know_marks(); }

bool FstatLane::open_lane(Task& task) {
  AddressSpace& mm = *task.mm;
  const uint64_t lane = mm.arenas.front().lane();
  // The program unmapped the arena that its sites lead to: recover() is what comes for them.
  if (mm.lane != 0) return mm.lane == lane;
  if (!write_all(memory_of(task), marks_.data(), marks_.size(), lane + FstatCode::kMarksAt))
    return false;
  mm.lane = lane;
  return true;
}

bool FstatLane::shorten(Task& task, const Registers& regs) {
  AddressSpace& mm = *task.mm;
  // A thread on its way through the seven bytes could find half of them changed.
  if (regs.r10 != AT_EMPTY_PATH || task.mm.use_count() != 1) return false;
  if (session_->identity != nullptr) return false;  // which is shown as the owner of anything
  const auto& known = mm.sites_known;
  if (known.size() >= kMostSites ||
      std::find(known.begin(), known.end(), regs.rip) != known.end()) {
    return false;
  }
  if (traced_ && (++mm.fstat_calls < kEnoughCalls || !marks_are_known())) return false;
  if (traced_ && mm.arenas.empty()) {
    if (may_ask_for_memory(task, regs, StubArena::kSize, true)) return true;
    mm.sites_known.push_back(regs.rip);
    return false;
  }
  mm.sites_known.push_back(regs.rip);
  std::optional<CallSite> site = find_fstat_site(ProcessMemory(task.tid), regs);
  if (!site || !may_shorten_fstat(task, regs, *site)) return false;
  bool changed = traced_ ? lay(task, *site) : write_code(task.tid, site->at, direct_fstat(*site));
  if (changed) mm.sites.push_back(*site);
  return false;
}

/// Puts the code for the site into the arena, then the jump to it.
bool FstatLane::lay(Task& task, const CallSite& site) {
  AddressSpace& mm = *task.mm;
  if (mm.sites.size() >= FstatCode::kMostSites || !open_lane(task)) return false;
  const uint64_t at = mm.lane + mm.sites.size() * FstatCode::kSize;
  const std::optional<CodeWord> jump = jump_from(site, at);
  const auto code = FstatCode::make(site, at, mm.lane + FstatCode::kMarksAt);
  if (!jump || !write_all(memory_of(task), code.data(), code.size(), at)) return false;
  return write_code(task.tid, site.at, *jump);
}

void FstatLane::mark(uint64_t ino) {
  lookups_->mark_inode(ino);
  const size_t bit = ino % FstatCode::kMarks;
  uint8_t& byte = marks_[bit / 8];
  if ((byte >> (bit % 8) & 1) != 0) return;
  byte = static_cast<uint8_t>(byte | 1 << (bit % 8));
  ++marked_;
  for (const auto& [tid, task] : session_->tasks) {
    // A task of which nothing is known yet waits for inherit(). Where the writing fails there is no
    // such memory any more, nor the code that would look there.
    if (task->mm && task->mm->lane != 0) {
      (void)write_all(memory_of(*task), &byte, 1, task->mm->lane + FstatCode::kMarksAt + bit / 8);
    }
  }
}

void FstatLane::inherit(Task& made, uint64_t known) {
  if (made.mm->lane == 0 || known == marked_) return;
  (void)write_all(memory_of(made), marks_.data(), marks_.size(),
                  made.mm->lane + FstatCode::kMarksAt);
}

bool FstatLane::recover(Task& task, Registers* regs) {
  AddressSpace& mm = *task.mm;
  if (mm.lane == 0 || regs->rip < mm.lane || regs->rip >= mm.lane + StubArena::kLaneSize)
    return false;
  const size_t i = (regs->rip - mm.lane) / FstatCode::kSize;
  if (i >= mm.sites.size() || regs->rip != mm.lane + i * FstatCode::kSize) return false;
  regs->rip = mm.sites[i].at;
  for (const CallSite& site : mm.sites) {
    // One in the lane itself went with it.
    if (site.at >= mm.lane && site.at < mm.lane + StubArena::kLaneSize) continue;
    if (!write_code(task.tid, site.at, site.before)) return false;
  }
  mm.lane = 0;
  mm.sites.clear();
  mm.arenas.clear();
  mm.lookup.stage = LookupState::Stage::kOff;
  return true;
}

}  // namespace viewsh

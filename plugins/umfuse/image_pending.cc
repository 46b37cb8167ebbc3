#include "image_pending.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "image_copy.h"

namespace viewsh {
namespace {

bool same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// Times of files go by ticks: what is changed in the same tick again doesn't show.
bool long_ago(const timespec& time) {
  constexpr int64_t kTicks = 40'000'000;
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return (now.tv_sec - time.tv_sec) * 1'000'000'000 + now.tv_nsec - time.tv_nsec > kTicks;
}

statx_timestamp stamp(const timespec& time) {
  statx_timestamp stamp = {};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return stamp;
}

timespec time_of(const statx_timestamp& stamp) {
  return {static_cast<time_t>(stamp.tv_sec), static_cast<long>(stamp.tv_nsec)};
}

timespec later(const timespec& a, const timespec& b) {
  const bool first = a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
  return first ? a : b;
}

/// Bits of set-id programs that writing took away. file_remove_privs() of fs/inode.c.
mode_t lost_bits(mode_t was, mode_t is) {
  const bool runs = (was & S_IXGRP) != 0;
  return was & ~is & (S_ISUID | (runs ? S_ISGID : 0U));
}

}  // namespace

void PendingContent::begin(NodeId node, const Opening& how) {
  const auto [it, fresh] = entries_.try_emplace(node);
  Entry& entry = it->second;
  entry.maps = entry.maps || (how.maps && !how.announced);
  entry.unannounced = entry.unannounced || !how.announced;
  if (how.emptied) entry.written.note_all();
  entry.cut = entry.cut || how.emptied;
  ++entry.begun;
  stage_.set_unsaved(node, true);
  struct stat st {};
  if (!stage_.stat_content(node, &st)) return;
  if (fresh) entry.base = st.st_mtim;
  entry.cut = entry.cut || st.st_size == 0;
}

void PendingContent::writing(NodeId node, const PlannedWrite& write) {
  const auto it = entries_.find(node);
  if (it != entries_.end()) it->second.written.note(write);
}

bool PendingContent::asks_where(NodeId node) const {
  constexpr off_t kLong = off_t{1} << 20;  // less is compared in less time than it takes to ask
  const auto it = entries_.find(node);
  if (it == entries_.end() || it->second.unannounced || it->second.written.maps()) return false;
  struct stat st {};
  return stage_.stat_content(node, &st) && st.st_size >= kLong;
}

void PendingContent::time_was_set(NodeId node) {
  const auto it = entries_.find(node);
  struct stat st {};
  if (it == entries_.end()) return;
  const auto fd = stage_.open_content(node, O_RDONLY);
  if (!fd || ::fstat(fd->get(), &st) < 0) return;
  Entry& entry = it->second;
  if (!same(st.st_mtim, entry.base)) entry.was_saved = false;
  (void)mark(fd->get(), st, &entry);
  entry.has_time = true;
}

void PendingContent::overlay(NodeId node, Attr* attr) const {
  const auto it = entries_.find(node);
  if (it == entries_.end()) return;
  struct stat st {};
  if (!stage_.stat_content(node, &st)) return;
  attr->stx_size = static_cast<uint64_t>(st.st_size);
  attr->stx_blocks = static_cast<uint64_t>(st.st_blocks);
  attr->stx_mode &= static_cast<uint16_t>(~lost_bits(attr->stx_mode, st.st_mode));
  if (same(st.st_mtim, it->second.base)) return;
  attr->stx_mtime = stamp(st.st_mtim);
  attr->stx_ctime = stamp(later(st.st_ctim, time_of(attr->stx_ctime)));
}

/// A part of the room is left for what files take beside their content. Servers that have no
/// statfs say that they have no blocks at all, as libfuse does for them: these find out themselves.
uint64_t PendingContent::measure_room() const {
  constexpr uint64_t kOverheadPart = 64;
  const auto fs = image_.statfs();
  if (!fs) return fs.error() == ENOSYS ? UINT64_MAX : 0;
  if (fs->f_blocks == 0) return UINT64_MAX;
  // statvfs(3): blocks are counted in fragments, where there are any.
  const uint64_t block = static_cast<uint64_t>(fs->f_frsize != 0 ? fs->f_frsize : fs->f_bsize);
  const uint64_t free = fs->f_bavail * block;
  return free - free / kOverheadPart;
}

uint64_t PendingContent::charge_of(uint64_t bytes) {
  constexpr uint64_t kBlock = 4096;
  const uint64_t wanted = std::min(bytes, UINT64_MAX / 2);
  return (wanted + kBlock - 1) / kBlock * kBlock;
}

/// Each write is charged with all that it may take, whether it is new or not; when that is more
/// than there is, everything is written back and the image is asked.
uint64_t PendingContent::reserve(uint64_t bytes) {
  const uint64_t charge = charge_of(bytes);
  if (charge > room_) {
    const Result<void> written = write_back_all();
    room_ = written ? measure_room() : 0;
    // What was removed is given back when that is on disk.
    if (written && charge > room_ && image_.sync()) room_ = measure_room();
  }
  const uint64_t allowed = std::min(charge, room_);
  room_ -= allowed;
  return std::min(bytes, allowed);
}

Result<void> PendingContent::resize(NodeId node, uint64_t size) {
  TRY_ASSIGN(const UniqueFd fd, stage_.open_content(node, O_WRONLY));
  return from_libc(::ftruncate(fd.get(), static_cast<off_t>(size)));
}

/// What is written from here on shows by the time of the file: a tick's time isn't one with the
/// last bit changed. False: its file system has no such fine times.
bool PendingContent::mark(int fd, const struct stat& st, Entry* entry) {
  timespec marked = st.st_mtim;
  marked.tv_nsec ^= 1;
  const timespec times[2] = {{0, UTIME_OMIT}, marked};
  struct stat now {};
  if (::futimens(fd, times) < 0 || ::fstat(fd, &now) < 0) return false;
  entry->base = now.st_mtim;
  return same(now.st_mtim, marked) || long_ago(st.st_mtim);
}

Result<Copied> PendingContent::copy(NodeId node, int fd, Entry* entry, bool whole) {
  const WrittenParts::Taken taken = entry->written.take();
  // Who is about to open it may cut it to nothing yet.
  whole = whole || entry->unannounced || taken.everything || stage_.opening(node);
  const auto copied = copy_into_image(image_, node, fd, whole ? nullptr : &taken.parts);
  // Meanwhile others may have been here.
  const auto it = entries_.find(node);
  if (it != entries_.end()) {
    if (!copied) it->second.written.give_back(taken);
    it->second.in_parts = !whole;
  }
  if (!copied) return copied.error();
  compared_ += copied->compared;
  return *copied;
}

bool PendingContent::is_saved(const Entry& entry, const struct stat& st, bool whole) {
  const bool maps = entry.maps || entry.written.maps();
  return entry.was_saved && !maps && same(st.st_mtim, entry.base) && !(whole && entry.in_parts);
}

Result<void> PendingContent::save(NodeId node, bool whole) {
  TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(locks_, node));
  auto it = entries_.find(node);
  if (it == entries_.end()) return {};
  TRY_ASSIGN(const UniqueFd fd, stage_.open_content(node, O_RDONLY));
  struct stat st {};
  TRY(from_libc(::fstat(fd.get(), &st)));
  if (is_saved(it->second, st, whole)) {
    (void)it->second.written.take();  // all of it that is made by now was saved
    it->second.cut = st.st_size == 0;
    return {};
  }
  TRY_ASSIGN(const Attr before, image_.getattr_open(node));
  // Whenever the image was asked, others may have been here.
  it = entries_.find(node);
  if (it == entries_.end()) return {};
  TRY(from_libc(::fstat(fd.get(), &st)));
  Entry& entry = it->second;
  const bool fresh = same(st.st_mtim, entry.base);
  const bool has_time = entry.has_time;
  entry.was_saved = false;
  const bool marked = mark(fd.get(), st, &entry);
  TRY_ASSIGN(const Copied copied, copy(node, fd.get(), &entry, whole));
  if (copied.blind && fresh) {
    // Most likely it is the same. A server may know no times.
    (void)image_.restore_times(node, time_of(before.stx_mtime), time_of(before.stx_ctime));
  } else {
    TRY(set_times(node, st, before, fresh, copied.changed, has_time));
  }
  it = entries_.find(node);
  if (it == entries_.end()) return {};
  it->second.was_saved = marked;
  it->second.has_time = false;
  it->second.cut = st.st_size == 0;
  return {};
}

/// `fresh`: the content's own time is still the one that it had when the image's counted.
Result<void> PendingContent::set_times(NodeId node, const struct stat& st, const Attr& before,
                                       bool fresh, bool changed, bool has_time) {
  const mode_t lost = lost_bits(before.stx_mode, st.st_mode);
  if (lost != 0) {
    SetAttr less;
    less.mode = before.stx_mode & 07777U & ~lost;
    TRY(image_.setattr(node, less));
  }
  // Who gives times to what is written wasn't written to where the content is the same.
  if (times_writes_ && (changed || fresh)) return {};
  const timespec ctime = time_of(before.stx_ctime);
  if (!fresh) {
    const auto done = image_.restore_times(node, st.st_mtim, later(st.st_ctim, ctime));
    return times_writes_ ? Result<void>() : done;  // a server may know no times
  }
  if (!changed) return {};
  if (has_time) return image_.restore_times(node, time_of(before.stx_mtime), ctime);
  SetAttr now;
  now.mtime = timespec{0, UTIME_NOW};
  return image_.setattr(node, now);
}

Result<void> PendingContent::write_back(NodeId node) {
  return pending(node) ? save(node, false) : Result<void>();
}

std::vector<NodeId> PendingContent::nodes() const {
  std::vector<NodeId> out;
  for (const auto& [node, entry] : entries_) out.push_back(node);
  return out;
}

std::vector<NodeId> PendingContent::written_since() const {
  constexpr off_t kSmall = off_t{1} << 20;  // each time all of it is compared
  std::vector<NodeId> out;
  for (const auto& [node, entry] : entries_) {
    struct stat st {};
    const auto fd = stage_.open_content(node, O_PATH);
    if (!fd || ::fstat(fd->get(), &st) < 0 || st.st_size > kSmall) continue;
    if (!same(st.st_mtim, entry.base)) out.push_back(node);
  }
  return out;
}

Result<void> PendingContent::finish() {
  Result<void> first;
  for (const NodeId node : nodes()) {
    const Result<void> done = save(node, true);
    if (!done && first) first = done;
  }
  return first;
}

Result<void> PendingContent::write_back_all() {
  Result<void> first;
  for (const NodeId node : nodes()) {
    const Result<void> done = write_back(node);
    if (!done && first) first = done;
  }
  return first;
}

Result<void> PendingContent::write_back_cut() {
  std::vector<NodeId> cut;
  for (const auto& [node, entry] : entries_) {
    if (entry.cut) cut.push_back(node);
  }
  Result<void> first;
  for (const NodeId node : cut) {
    const Result<void> done = write_back(node);
    if (!done && first) first = done;
  }
  return first;
}

Result<void> PendingContent::settle(NodeId node) {
  const auto before = entries_.find(node);
  if (before == entries_.end()) return {};
  const unsigned begun = before->second.begun;
  // Asked before it is read: who opens it later begins anew.
  const bool written = stage_.has_writers(node);
  const Result<void> done = save(node, !written);
  const auto after = entries_.find(node);
  const bool anew = after == entries_.end() || after->second.begun != begun;
  if (written || !done || anew || stage_.opening(node)) return done;
  stage_.set_unsaved(node, false);
  entries_.erase(node);
  return {};
}

Result<void> PendingContent::settle() {
  Result<void> first;
  for (const NodeId node : nodes()) {
    const Result<void> done = settle(node);
    if (!done && first) first = done;
  }
  return first;
}

}  // namespace viewsh

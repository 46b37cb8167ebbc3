#include "image_written.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace viewsh {
namespace {

/// More of them are no gain over looking at the whole file.
constexpr size_t kMost = 16384;

bool is_there(pid_t task) { return ::kill(task, 0) == 0 || errno != ESRCH; }

}  // namespace

FilePart WrittenParts::part_of(const PlannedWrite& write) {
  const uint64_t room = UINT64_MAX - write.offset;
  return {write.offset, write.offset + std::min(write.size, room)};
}

/// Two tasks that share a descriptor's position: where the one writes depends on whether the other
/// has done so, which isn't known.
bool WrittenParts::others_move(pid_t task) const {
  return std::any_of(flying_.begin(), flying_.end(), [task](const auto& one) {
    return one.first != task && one.second.at_position && is_there(one.first);
  });
}

void WrittenParts::add(const FilePart& part) {
  if (everything_) return;
  if (!done_.empty() && part.begin <= done_.back().end && part.begin >= done_.back().begin) {
    done_.back().end = std::max(done_.back().end, part.end);
    return;
  }
  if (done_.size() < kMost) {
    done_.push_back(part);
  } else {
    everything_ = true;
    done_.clear();
  }
}

void WrittenParts::note(const PlannedWrite& write) {
  const auto earlier = flying_.find(write.task);
  if (earlier != flying_.end()) {
    add(earlier->second.part);
    flying_.erase(earlier);
  }
  maps_ = maps_ || write.maps;
  if (write.size == 0) return;
  Flying now{part_of(write), write.at_position};
  if (write.at_position && others_move(write.task)) {
    now.part = {0, UINT64_MAX};
    for (auto& [task, other] : flying_) {
      if (other.at_position) other.part = now.part;
    }
  }
  flying_[write.task] = now;
}

WrittenParts::Taken WrittenParts::take() {
  Taken taken;
  taken.everything = everything_ || maps_;
  std::vector<FilePart> all = std::move(done_);
  done_.clear();
  everything_ = false;
  for (const auto& [task, one] : flying_) all.push_back(one.part);
  std::sort(all.begin(), all.end(),
            [](const FilePart& a, const FilePart& b) { return a.begin < b.begin; });
  for (const FilePart& part : all) {
    if (!taken.parts.empty() && part.begin <= taken.parts.back().end) {
      taken.parts.back().end = std::max(taken.parts.back().end, part.end);
    } else {
      taken.parts.push_back(part);
    }
  }
  return taken;
}

void WrittenParts::give_back(const Taken& taken) {
  everything_ = everything_ || taken.everything;
  for (const FilePart& part : taken.parts) add(part);
}

}  // namespace viewsh

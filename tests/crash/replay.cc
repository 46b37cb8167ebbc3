#include "replay.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host_ops.h"
#include "layer.h"
#include "recorder.h"

namespace viewsh::crash {
namespace {

bool is_log(const std::string& path) { return path.ends_with("/log"); }

/// What the log says of the start of the machine is of another one from here on.
void start_machine(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return;
  const auto text = viewfs::read_whole(AT_FDCWD, path.c_str());
  for (size_t at = 0; text && at < text->size();) {
    const size_t end = text->find('\n', at);
    if (end == std::string::npos) break;
    const auto mark = viewfs::decode_text(std::string_view(*text).substr(at, end - at));
    const auto boot = mark ? viewfs::boot_of(*mark) : std::nullopt;
    if (boot) {
      const std::string line = viewfs::encode_text("boot " + std::string(boot->size(), '0'));
      (void)!pwrite(fd.get(), line.data(), line.size(), static_cast<off_t>(at));
    }
    at = end + 1;
  }
}

}  // namespace

Replay::Replay(std::string root, Disk before, std::vector<Op> ops)
    : root_(std::move(root)),
      aside_(root_ + ".aside"),
      disk_(std::move(before)),
      ops_(std::move(ops)) {
  recorder::forget();
  if (rename(root_.c_str(), aside_.c_str()) < 0) perror("rename");
}

Replay::~Replay() {
  recorder::forget();
  (void)host_ops::remove_tree(root_);
  if (rename(aside_.c_str(), root_.c_str()) < 0) perror("rename");
}

std::string Replay::told(size_t from, size_t cut) const {
  static const char* const kKinds[] = {"make",  "link",     "remove", "rename",   "exchange",
                                       "write", "truncate", "sync",   "sync all", "attributes"};
  std::string out;
  for (size_t i = from; i < cut && i < ops_.size(); ++i) {
    const Op& op = ops_[i];
    out += std::to_string(i) + " " + kKinds[static_cast<size_t>(op.kind)] + " " +
           std::to_string(op.dir) + "/" + op.name;
    if (op.to_dir != 0) out += " to " + std::to_string(op.to_dir) + "/" + op.to_name;
    if (op.node != 0)
      out += " node " + std::to_string(op.node) + " (" + disk_.path_of(op.node) + ")";
    if (!op.data.empty())
      out += " [" + op.data.substr(0, 300) + "] at " + std::to_string(op.offset);
    out += "\n";
  }
  return out;
}

void Replay::go_to(size_t cut) {
  while (at_ < cut) disk_.apply(ops_[at_++]);
}

void Replay::make(const std::function<bool(Id)>& keeps, const std::function<void()>& check) {
  recorder::forget();
  (void)host_ops::remove_tree(root_);
  const auto made = disk_.make(root_, keeps);
  recorder::adopt(made);
  for (const Disk::Made& m : made) {
    const std::string path = disk_.path_of(m.node);
    if (is_log("/" + path)) start_machine(root_ + "/" + path);
  }
  check();
}

void Replay::whole(size_t cut, const std::function<void()>& check) {
  go_to(cut);
  make([](Id) { return true; }, check);
}

void Replay::states(size_t cut, const std::function<void(const std::string& what)>& check) {
  go_to(cut);
  bool logs = false;
  bool others = false;
  std::map<Id, bool> is_a_log;
  for (const auto& [id, node] : disk_.nodes) {
    if (!disk_.unsynced(id)) continue;
    const std::string path = disk_.path_of(id);
    if (path.empty()) continue;  // has no name any more
    is_a_log[id] = is_log("/" + path);
    (is_a_log[id] ? logs : others) = true;
  }
  make([](Id) { return true; }, [&] { check("all that was written"); });
  if (!logs && !others) return;
  make([](Id) { return false; }, [&] { check("only what was synced"); });
  if (!logs || !others) return;
  make([&](Id id) { return is_a_log[id]; }, [&] { check("the log, but nothing else unsynced"); });
  make([&](Id id) { return !is_a_log[id]; }, [&] { check("all but the unsynced log"); });
}

}  // namespace viewsh::crash

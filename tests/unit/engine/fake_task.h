#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>

#include "syscalls/call.h"
#include "syscalls/table.h"
#include "temp_tree.h"

namespace viewsh::testing {

/// Memory of a process that isn't there: regions with nothing between them.
class FakeMemory : public TraceeMemory {
 public:
  mutable std::map<uint64_t, std::string> regions;
  mutable int reads = 0;

  uint64_t place(uint64_t address, std::string bytes) {
    regions[address] = std::move(bytes);
    return address;
  }
  Result<size_t> read_some(uint64_t address, void* to, size_t size) const override {
    ++reads;
    auto [begin, bytes] = region(address);
    if (bytes == nullptr) return Errno(EFAULT);
    const size_t n = std::min(size, bytes->size() - static_cast<size_t>(address - begin));
    memcpy(to, bytes->data() + (address - begin), n);
    return n;
  }
  Result<void> write(uint64_t address, const void* from, size_t size) const override {
    if (size == 0) return {};
    auto [begin, bytes] = region(address);
    if (bytes == nullptr || address - begin + size > bytes->size()) return Errno(EFAULT);
    memcpy(bytes->data() + (address - begin), from, size);
    return {};
  }

 private:
  std::pair<uint64_t, std::string*> region(uint64_t address) const {
    auto it = regions.upper_bound(address);
    if (it == regions.begin()) return {0, nullptr};
    --it;
    if (address - it->first >= it->second.size()) return {0, nullptr};
    return {it->first, &it->second};
  }
};

/// A task of a view without a process behind it. What handlers ask of /proc/PID is asked of the
/// test.
struct FakeTask {
  FakeMemory memory;
  Session session;
  Task task;
  Registers regs{};

  explicit FakeTask(std::shared_ptr<const View> view) {
    session.view = std::move(view);
    session.cache = std::make_shared<PathCache>();
    session.engine_pid = getpid();
    task.tid = task.tgid = getpid();
    task.fs = std::make_shared<FsContext>();
    task.mm = std::make_shared<AddressSpace>();
  }
  void arguments(std::initializer_list<uint64_t> values) {
    unsigned i = 0;
    for (uint64_t value : values) argument_register(regs, i++) = value;
  }
  /// The call by its number in the table, as the engine dispatches it.
  Outcome run(long nr, std::initializer_list<uint64_t> values) {
    arguments(values);
    return run_handler(row_of(nr)->handler);
  }
  Outcome run_handler(Handler handler) {
    Call call(session, task, memory, regs);
    return handler(call);
  }
};

}  // namespace viewsh::testing

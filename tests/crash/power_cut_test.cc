#include <random>
#include <set>

#include "cow_driver.h"
#include "host_ops.h"
#include "random_op.h"
#include "recorder.h"
#include "replay.h"

namespace viewsh::crash {
namespace {

using viewfs::CowCalls;
using viewfs::TempDir;
using viewfs::TestHost;
using Lines = std::vector<std::string>;

/// In memory where that can be: a state is made some thousand times.
class InMemory {
 public:
  InMemory() {
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1);
  }
  ~InMemory() {
    if (old_.empty()) unsetenv("TMPDIR");
    if (!old_.empty()) setenv("TMPDIR", old_.c_str(), 1);
  }

 private:
  std::string old_ = getenv("TMPDIR") != nullptr ? getenv("TMPDIR") : "";
};

/// Times of directories aside: a copy-up puts them back a moment later.
std::string without_times(const std::string& line) {
  if (line.find(" mode=4") == std::string::npos) return line;
  const size_t at = std::min(line.find(" mtime="), line.find(" touched"));
  return line.substr(0, at);
}
std::string path_of(const std::string& line) { return line.substr(0, line.find(' ')); }
std::string without_content(const std::string& line) { return line.substr(0, line.find(" size=")); }

std::map<std::string, std::string> by_path(const Lines& lines) {
  std::map<std::string, std::string> out;
  for (const std::string& line : lines) out[path_of(line)] = without_times(line);
  return out;
}

class PowerCut : public testing::Test {
 protected:
  PowerCut() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    umask(022);
    viewfs::make_lower(lower_);
    before_ = viewfs::fingerprint(lower_);
    store_ = make_layer_store(host_);
  }
  std::string state() const { return host_.state_dir(); }
  std::shared_ptr<FileSystem> mount(MountError* error = nullptr) {
    return viewfs::cow_over(lower_, host_, "work", error);
  }
  /// The tree as the layer has it, or why not; the layer is good then.
  Lines shown(const std::string& when) {
    MountError error;
    auto fs = mount(&error);
    if (fs == nullptr) {
      ADD_FAILURE() << when << ": the layer can't be used: " << error.text;
      return {};
    }
    CowCalls calls(fs);
    Lines out = describe(calls);
    EXPECT_TRUE(fs->shutdown().ok()) << when;
    const auto verified = store_->verify("work", false);
    std::string problems = verified.error;
    for (const std::string& line : verified.value.problems) problems += line + "\n";
    EXPECT_EQ(problems, "") << when;
    return out;
  }
  /// fsync(2) of a file, as the engine and the kernel do it.
  static void sync(FileSystem& fs, const std::string& host) {
    EXPECT_TRUE(fs.sync_names(host).ok());
    const int fd = open(host.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(fsync(fd), 0);
    close(fd);
  }

  InMemory in_memory_;
  TempDir temp_;
  std::string lower_, before_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
};

/// All was synced before each operation: whatever of it is lost, it was done or not.
class OneOperation : public PowerCut {
 protected:
  /// Empty, or how the tree is neither the one nor the other.
  static std::string neither(const Lines& shown, const Lines& prev, const Lines& next,
                             bool writes) {
    const auto is = by_path(shown);
    std::string why;
    for (const Lines* wanted : {&prev, &next}) {
      auto expected = by_path(*wanted);
      const auto other = by_path(wanted == &prev ? next : prev);
      auto got = is;
      for (auto& [path, line] : expected) {
        // What is written is the program's own to sync.
        const auto it = other.find(path);
        const bool changes = it == other.end() || it->second != line;
        if (!writes || !changes || got.count(path) == 0) continue;
        line = without_content(line);
        got[path] = without_content(got[path]);
      }
      if (got == expected) return {};
      why += wanted == &prev ? "\nnot as before:" : "\nnot as after:";
      for (const auto& [path, line] : got) {
        if (expected[path] != line) why += "\n  is:     " + line + "\n  not:    " + expected[path];
      }
      for (const auto& [path, line] : expected) {
        if (got.count(path) == 0) why += "\n  lacks:  " + path + line;
      }
    }
    return why;
  }

  void run(unsigned seed, int count) {
    std::mt19937 random(seed);
    std::vector<Lines> states;
    std::vector<size_t> begins;
    std::vector<size_t> ends;
    std::vector<RandomOp> ops;
    Disk disk;
    std::vector<Op> recorded;
    {
      auto fs = mount();
      CowCalls calls(fs);
      disk = recorder::start(state());
      states.push_back(describe(calls));
      while (ops.size() < static_cast<size_t>(count)) {
        const RandomOp op = RandomOp::draw(&random);
        EXPECT_TRUE(fs->sync_all().ok());
        const size_t begin = recorder::position();
        if (op.run(calls) != 0 && random() % 8 != 0) continue;
        ops.push_back(op);
        states.push_back(describe(calls));
        begins.push_back(begin);
        ends.push_back(recorder::position());
      }
      recorded = recorder::stop();
    }
    Replay replay(state(), disk, std::move(recorded));
    int tried = 0;
    for (size_t i = 0; i < ops.size() && !HasFailure(); ++i) {
      for (size_t cut = begins[i]; cut <= ends[i] && !HasFailure(); ++cut) {
        replay.states(cut, [&](const std::string& what) {
          const std::string when = "seed " + std::to_string(seed) + ", operation " +
                                   std::to_string(i) + " (" + ops[i].text() + "), call " +
                                   std::to_string(cut - begins[i]) + " of " +
                                   std::to_string(ends[i] - begins[i]) + ", on disk: " + what;
          const std::string why = neither(shown(when), states[i], states[i + 1], ops[i].writes());
          EXPECT_EQ(why, "") << when << "\n" << replay.told(0, cut);
          ++tried;
        });
      }
    }
    EXPECT_EQ(before_, viewfs::fingerprint(lower_));
    RecordProperty("states", tried);
    printf("seed %u: %d states of %zu operations\n", seed, tried, ops.size());
  }
};

int rounds(int usual) {
  const char* text = getenv("VIEWSH_CRASH_OPS");
  return text != nullptr ? atoi(text) : usual;
}
unsigned seeds() {
  const char* text = getenv("VIEWSH_CRASH_SEED");
  return text != nullptr ? static_cast<unsigned>(atoi(text)) : 1;
}

TEST_F(OneOperation, IsDoneOrNot) { run(seeds(), rounds(120)); }
TEST_F(OneOperation, IsDoneOrNotAgain) { run(seeds() + 1000, rounds(120)); }

/// What was synced in the view is there with its content until it is changed.
TEST_F(PowerCut, WhatWasSyncedIsThere) {
  std::mt19937 random(seeds());
  struct Step {
    std::string what;
    size_t end;
    std::map<std::string, std::string> promised;
  };
  std::vector<Step> steps;
  Disk disk;
  std::vector<Op> recorded;
  {
    auto fs = mount();
    CowCalls calls(fs);
    disk = recorder::start(state());
    std::map<std::string, std::string> promised;
    auto now = by_path(describe(calls));
    for (int i = 0; i < rounds(250); ++i) {
      const RandomOp op = RandomOp::draw(&random);
      // What it may touch is not promised any more, whether it is done or not.
      std::erase_if(promised, [&](const auto& entry) {
        const auto at_or_above = [&](const std::string& path) {
          return entry.first == path || entry.first.rfind(path + "/", 0) == 0;
        };
        return at_or_above(op.path) || at_or_above(op.to);
      });
      const auto before = now;
      const bool done = op.run(calls) == 0;
      now = by_path(describe(calls));
      std::erase_if(promised, [&](const auto& entry) {
        return now[entry.first] != entry.second;  // by another name
      });
      steps.push_back({op.text(), recorder::position(), promised});
      const auto it = now.find(op.path);
      if (!done || it == now.end() || it->second.find(" size=") == std::string::npos) continue;
      if (it->second.find("mode=100") == std::string::npos || random() % 2 == 0) continue;
      sync(*fs, calls.host(op.path));
      promised[op.path] = it->second;
      steps.push_back({"fsync " + op.path, recorder::position(), steps.back().promised});
    }
    recorded = recorder::stop();
  }
  Replay replay(state(), disk, std::move(recorded));
  size_t cut = 0;
  int kept = 0;
  for (const Step& step : steps) {
    for (; cut < step.end && !HasFailure(); ++cut) {
      replay.states(cut, [&](const std::string& what) {
        const std::string when = step.what + ", call " + std::to_string(cut) + ": " + what;
        auto is = by_path(shown(when));
        for (const auto& [path, line] : step.promised) {
          // Links that were made or removed meanwhile may be there or not.
          const auto plain = [](std::string text) {
            const size_t at = text.find(" nlink=");
            const size_t end = text.find(' ', at + 1);
            if (at != std::string::npos) text.erase(at, end - at);
            if (const size_t same = text.find(" same as "); same != std::string::npos) {
              text.erase(same, text.find(' ', same + 9) - same);
            }
            return text;
          };
          EXPECT_EQ(plain(is[path]), plain(line)) << when;
          ++kept;
        }
      });
    }
  }
  printf("%zu steps, %zu calls, %d promises kept\n", steps.size(), cut, kept);
  EXPECT_EQ(before_, viewfs::fingerprint(lower_));
}

/// A snapshot is there as a whole or not at all, and stays as it was; a restore is done or not.
TEST_F(PowerCut, SnapshotsAreWhole) {
  Lines old_state;
  {
    CowCalls calls(mount());
    EXPECT_EQ(calls.write("a/1", O_WRONLY | O_TRUNC, 0, "old one"), 0);
    EXPECT_EQ(calls.write("new", O_WRONLY | O_CREAT, 0644, "old new"), 0);
    EXPECT_EQ(calls.rename("d", "dd", 0), 0);
    old_state = describe(calls);
  }
  ASSERT_TRUE(store_->take_snapshot("work", "old").ok());
  Disk disk = recorder::start(state());
  std::vector<Lines> states = {old_state};
  std::vector<size_t> ends;
  const auto change = [&](const std::function<void(CowCalls&)>& what) {
    auto fs = mount();
    CowCalls calls(fs);
    what(calls);
    states.push_back(describe(calls));
    EXPECT_TRUE(fs->sync_all().ok());
    EXPECT_TRUE(fs->shutdown().ok());
    ends.push_back(recorder::position());
  };
  change([](CowCalls& c) { EXPECT_EQ(c.write("a/1", O_WRONLY, 0, "changed"), 0); });
  change([](CowCalls& c) { EXPECT_EQ(c.truncate("new", 2), 0); });
  change([](CowCalls& c) { EXPECT_EQ(c.unlink("dd/e/4"), 0); });
  const Lines last = states.back();
  EXPECT_TRUE(store_->take_snapshot("work", "second").ok());
  states.push_back(last);
  ends.push_back(recorder::position());
  EXPECT_TRUE(store_->restore("work", "old").ok());
  states.push_back(old_state);
  ends.push_back(recorder::position());
  Replay replay(state(), disk, recorder::stop());
  const auto same = [](const Lines& a, const Lines& b) { return by_path(a) == by_path(b); };
  size_t phase = 0;
  for (size_t cut = 0; cut <= replay.size() && !HasFailure(); ++cut) {
    while (phase + 1 < ends.size() && cut > ends[phase]) ++phase;
    replay.states(cut, [&](const std::string& what) {
      const std::string when =
          "phase " + std::to_string(phase) + ", call " + std::to_string(cut) + ": " + what;
      const Lines is = shown(when);
      // What was written and not synced may be gone, but for what was there before.
      if (phase >= 3) {
        EXPECT_TRUE(same(is, states[phase]) || same(is, states[phase + 1]))
            << when << "\n"
            << testing::PrintToString(is);
      }
      for (const SnapshotInfo& info : store_->snapshots("work").value) {
        EXPECT_EQ(info.damage, "") << when;
      }
      const auto back = store_->restore("work", "old");
      EXPECT_EQ(back.error, "") << when;
      const Lines restored = shown(when + ", restored");
      EXPECT_TRUE(same(restored, old_state)) << when << "\n" << testing::PrintToString(restored);
    });
  }
  printf("%zu calls\n", replay.size());
}

}  // namespace
}  // namespace viewsh::crash

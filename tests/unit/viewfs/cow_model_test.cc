// Random operations on a cow view and on a native copy of its lower give the same results and the
// same tree.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <new>
#include <random>

#include "cow_driver.h"

namespace viewsh::viewfs {
namespace {

class Model {
 public:
  Model(uint32_t seed, std::string copy) : random_(seed), native_(std::move(copy)) {}

  std::string path() {
    static const char* const kNames[] = {"a", "b", "c", "d",    "e",    "f",    "1",     "2",  "3",
                                         "4", "t", "x", "hard", "link", "fifo", "empty", "new"};
    std::string out;
    const uint32_t depth = 1 + pick(4);
    // Mostly along what is there.
    for (uint32_t i = 0; i < depth; ++i) {
      std::vector<DirEntry> entries;
      if (pick(5) != 0 && native_.list(out, &entries) == 0 && !entries.empty()) {
        std::sort(entries.begin(), entries.end(),
                  [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
        out = join(out, entries[pick(static_cast<uint32_t>(entries.size()))].name);
      } else {
        out = join(out, kNames[pick(std::size(kNames))]);
      }
    }
    return out;
  }

  /// One operation on both; its description for messages.
  std::string step(CowCalls* cow) {
    const std::string a = path();
    const std::string b = path();
    const uint32_t n = pick(100000);
    static constexpr mode_t kModes[] = {0644, 0444, 0755, 0600, 0700, 0555, 0750};
    const mode_t mode = kModes[pick(std::size(kModes))];
    std::string what;
    const auto both = [&](const std::string& text, const auto& call) {
      what = text;
      const int expected = call(static_cast<Calls&>(native_));
      if (cow == nullptr) return;
      const int got = call(static_cast<Calls&>(*cow));
      EXPECT_EQ(got, expected) << text << ": " << strerror(got) << " natively "
                               << strerror(expected);
    };
    const std::string text = "text " + std::to_string(n);
    Attr kind{};
    // The kernel's own object is used in place, and with it its times.
    const bool fifo = native_.stat(a, &kind) == 0 && S_ISFIFO(kind.stx_mode);
    const uint32_t first = fifo ? 5 : 0;
    switch (first + pick(22 - first)) {
      case 0:
      case 1:
        both("create " + a,
             [&](Calls& c) { return c.write(a, O_WRONLY | O_CREAT | O_NONBLOCK, mode, text); });
        break;
      case 2:
        both("create excl " + a,
             [&](Calls& c) { return c.write(a, O_RDWR | O_CREAT | O_EXCL, mode, text); });
        break;
      case 3:
        both("truncate and write " + a,
             [&](Calls& c) { return c.write(a, O_RDWR | O_TRUNC | O_NONBLOCK, 0, text); });
        break;
      case 4:
        both("append " + a,
             [&](Calls& c) { return c.write(a, O_RDWR | O_APPEND | O_NONBLOCK, 0, text); });
        break;
      case 5:
      case 6:
        both("mkdir " + a, [&](Calls& c) { return c.mkdir(a, mode | 0100); });
        break;
      case 7:
        both("symlink " + a, [&](Calls& c) { return c.symlink(a, "nowhere" + text); });
        break;
      case 8:
        if (fifo && kind.stx_mode != (S_IFIFO | 0644)) break;
        both("link " + a + " " + b, [&](Calls& c) { return c.link(a, b); });
        break;
      case 9:
      case 10:
        both("unlink " + a, [&](Calls& c) { return c.unlink(a); });
        break;
      case 11:
        both("rmdir " + a, [&](Calls& c) { return c.rmdir(a); });
        break;
      case 12:
      case 13:
      case 14:
      case 15:
        both("rename " + a + " " + b, [&](Calls& c) { return c.rename(a, b, 0); });
        break;
      case 16:
        both("exchange " + a + " " + b, [&](Calls& c) { return c.rename(a, b, RENAME_EXCHANGE); });
        break;
      case 17:
        both("rename noreplace " + a + " " + b,
             [&](Calls& c) { return c.rename(a, b, RENAME_NOREPLACE); });
        break;
      case 18:
        // The mode of a lower FIFO is recorded by name, its other links don't get it.
        if (fifo && kind.stx_nlink > 1) break;
        both("chmod " + a, [&](Calls& c) { return c.chmod(a, mode | 0500); });
        break;
      case 19:
        both("truncate " + a, [&](Calls& c) { return c.truncate(a, n % 50); });
        break;
      case 20:
        if (fifo) break;
        both("utimens " + a, [&](Calls& c) { return c.utimens(a, kOld + n % 100); });
        break;
      case 21:
        if (n % 3 == 0) {
          both("mkfifo " + a, [&](Calls& c) { return c.mkfifo(a); });
        } else {
          both("setxattr " + a, [&](Calls& c) { return c.setxattr(a, text); });
        }
        break;
      default:
        break;
    }
    return what;
  }

  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  NativeCalls& native() { return native_; }

 private:
  std::mt19937 random_;
  NativeCalls native_;
};

/// Differences of two trees, or nothing.
std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::string out;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? a[i] : "(nothing)";
    const std::string right = i < b.size() ? b[i] : "(nothing)";
    if (left != right) {
      out += "cow:    " + left + "\nnative: " + right + "\n";
      if (out.size() > 2000) break;
    }
  }
  return out;
}

/// A tree without what a call does in more than one step natively, too: times and content.
std::vector<std::string> outline(Calls& calls) {
  std::vector<std::string> out = describe(calls);
  for (std::string& line : out) {
    for (const char* word : {" touched", " mtime=", " size=", " xattr="}) {
      const size_t at = line.find(word);
      if (at != std::string::npos && line.find(" -> ") == std::string::npos) line.resize(at);
    }
    if (const size_t at = line.find(" touched"); at != std::string::npos) line.erase(at, 8);
    if (const size_t at = line.find(" mtime="); at != std::string::npos) line.erase(at, 17);
  }
  return out;
}

void run_model(uint32_t seed, int steps, const std::string& layer) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  TempDir temp;
  const std::string lower = temp.path() + "/lower";
  const std::string copy = temp.path() + "/copy";
  make_lower(lower);
  sh("cp -a " + lower + " " + copy);
  const std::string before = fingerprint(lower);
  TestHost host(temp.path());
  umask(022);
  auto cow = std::make_unique<CowCalls>(cow_over(lower, host, layer));
  Model model(seed, copy);
  std::vector<std::string> log;
  for (int i = 0; i < steps; ++i) {
    log.push_back(model.step(cow.get()));
    const std::string differs = difference(describe(*cow), describe(model.native()));
    if (!differs.empty() || testing::Test::HasFailure()) {
      std::string tail;
      for (size_t k = log.size() > 25 ? log.size() - 25 : 0; k < log.size(); ++k) {
        tail += std::to_string(k) + " " + log[k] + "\n";
      }
      ADD_FAILURE() << "seed " << seed << " after step " << i << ":\n" << differs << tail;
      return;
    }
    if (!layer.empty() && i % 50 == 49) {
      const auto shown = describe(*cow);
      cow.reset();
      cow = std::make_unique<CowCalls>(cow_over(lower, host, layer));
      const std::string after = difference(describe(*cow), shown);
      ASSERT_EQ(after, "") << "reopened after step " << i;
    }
  }
  const auto shown = describe(*cow);
  cow.reset();
  EXPECT_EQ(fingerprint(lower), before);
  if (layer.empty()) return;
  const auto checked = make_layer_store(host)->verify(layer, false);
  EXPECT_EQ(checked.error, "");
  EXPECT_EQ(checked.value.problems, std::vector<std::string>());
  const auto done = make_layer_store(host)->commit(layer, {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  NativeCalls committed(lower);
  EXPECT_EQ(difference(describe(committed), shown), "") << "after commit, left: committed";
  EXPECT_EQ(difference(outline(committed), outline(model.native())), "") << "after commit";
}

struct Progress {
  std::atomic<int> ready;
  std::atomic<int> done;
};

/// Kills a process at work on a named layer; afterwards each operation is done or not done.
void run_crash(uint32_t seed, const std::string& lower) {
  SCOPED_TRACE("crash seed " + std::to_string(seed));
  TempDir temp;
  for (const char* copy : {"/copy", "/replay"}) sh("cp -a " + lower + " " + temp.path() + copy);
  TestHost host(temp.path());
  void* shared = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* progress = new (shared) Progress();
  std::mt19937 random(seed);
  const pid_t pid = fork();
  if (pid == 0) {
    CowCalls cow(cow_over(lower, host, "work"));
    Model model(seed, temp.path() + "/copy");
    progress->ready = 1;
    for (int i = 0; i < 100000; ++i) {
      (void)model.step(&cow);
      progress->done = i + 1;
    }
    _exit(0);
  }
  while (progress->ready == 0 && waitpid(pid, nullptr, WNOHANG) == 0) usleep(100);
  usleep(static_cast<useconds_t>(random() % 12000));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  Model replay(seed, temp.path() + "/replay");
  for (int i = 0; i < progress->done; ++i) (void)replay.step(nullptr);
  const auto before = outline(replay.native());
  const std::string last = replay.step(nullptr);
  const auto after = outline(replay.native());
  CowCalls cow(cow_over(lower, host, "work"));
  const auto now = outline(cow);
  EXPECT_TRUE(now == before || now == after)
      << "in step " << progress->done << " " << last << "\nnot before:\n"
      << difference(now, before) << "\nnot after:\n"
      << difference(now, after);
  munmap(shared, 4096);
}

int runs() {
  const char* n = getenv("VIEWSH_MODEL_RUNS");
  return n != nullptr ? atoi(n) : 12;
}

uint32_t first_seed() {
  const char* seed = getenv("VIEWSH_MODEL_SEED");
  return seed != nullptr ? static_cast<uint32_t>(atoi(seed)) : 1;
}

TEST(CowModel, KilledAtAnyMomentLeavesEachOperationDoneOrNot) {
  TempDir temp;
  const std::string lower = temp.path() + "/lower";
  make_lower(lower);
  const std::string before = fingerprint(lower);
  for (int i = 0; i < 5 * runs() && !HasFailure(); ++i) {
    run_crash(first_seed() + static_cast<uint32_t>(i), lower);
  }
  EXPECT_EQ(fingerprint(lower), before);
}

TEST(CowModel, EphemeralEqualsNative) {
  for (int i = 0; i < runs() && !HasFailure(); ++i) {
    run_model(first_seed() + static_cast<uint32_t>(i), 300, "");
  }
}

TEST(CowModel, NamedLayerEqualsNativeAndReopensTheSame) {
  for (int i = 0; i < runs() && !HasFailure(); ++i) {
    run_model(1000 + first_seed() + static_cast<uint32_t>(i), 300, "work");
  }
}

}  // namespace
}  // namespace viewsh::viewfs

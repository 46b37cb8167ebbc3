#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <random>

#include "ext_device.h"
#include "ext_workload.h"

namespace viewsh {
namespace {

/// What went to the device, in order.
struct Log {
  struct Event {
    bool flush = false;
    uint64_t position = 0;
    std::string data;
  };
  std::vector<Event> events;
};

class RecordingDevice : public ExtDevice {
 public:
  RecordingDevice(std::unique_ptr<ExtDevice> below, Log* log)
      : below_(std::move(below)), log_(log) {}
  uint64_t size() const override { return below_->size(); }
  Result<void> read(void* to, size_t size, uint64_t position) override {
    return below_->read(to, size, position);
  }
  Result<void> write(const void* from, size_t size, uint64_t position) override {
    log_->events.push_back({false, position, std::string(static_cast<const char*>(from), size)});
    return below_->write(from, size, position);
  }
  Result<void> flush() override {
    log_->events.push_back({true, 0, {}});
    return {};
  }

 private:
  std::unique_ptr<ExtDevice> below_;
  Log* log_;
};

std::unique_ptr<ExtDevice> record(std::unique_ptr<ExtDevice> below, void* log) {
  return std::make_unique<RecordingDevice>(std::move(below), static_cast<Log*>(log));
}

struct Variant {
  const char* name;
  std::vector<std::string> options;
};

class ExtCrash : public ExtTest, public ::testing::WithParamInterface<Variant> {
 protected:
  static unsigned repeats(unsigned usual) {
    const char* more = ::getenv("VIEWSH_EXT_CRASHES");
    return more != nullptr ? static_cast<unsigned>(std::atoi(more)) : usual;
  }
  bool journal() const { return std::string(GetParam().name).find("ext2") == std::string::npos; }

  /// With a journal nothing is left to repair when that was replayed.
  void recover(const std::string& file) {
    if (journal()) {
      const Ran ran = run({"e2fsck", "-p", "-E", "journal_only", file});
      EXPECT_EQ(ran.status, 0) << ran.output;
      expect_clean(file);
    } else {
      expect_repairable(file);
    }
  }
};

class ExtPowerCut : public ExtCrash {
 protected:
  struct Step {
    size_t start;  ///< events before it
    std::set<std::string> touched;
  };
  struct Synced {
    size_t step;
    size_t end;  ///< events up to its end
    ExtWorkload::Files files;
  };

  void record_work() {
    base_ = make("base", 8, GetParam().options);
    const std::string file = path("image");
    run({"cp", base_, file});
    ExtOptions options;
    options.wrap = record;
    options.wrap_data = &log_;
    options.noatime = true;
    ExtWorkload work(5);
    Opened image = open(file, options);
    work.prepare(image.image.get());
    syncs_.push_back({0, log_.events.size(), work.files()});
    for (int i = 0; i < 500; ++i) {
      const size_t start = log_.events.size();
      const bool synced = work.step(image.image.get());
      steps_.push_back({start, work.touched()});
      if (synced) syncs_.push_back({steps_.size(), log_.events.size(), work.files()});
    }
  }

  /// Each write up to the last flush before the cut is there, and any of those after it.
  void write_part(const std::string& file, size_t cut, std::mt19937* random) {
    size_t flushed = cut;
    while (flushed > 0 && !log_.events[flushed - 1].flush) --flushed;
    run({"cp", base_, file});
    UniqueFd fd(::open(file.c_str(), O_RDWR));
    for (size_t i = 0; i < cut; ++i) {
      const Log::Event& event = log_.events[i];
      if (event.flush || (i >= flushed && (*random)() % 2)) continue;
      ASSERT_EQ(::pwrite(fd.get(), event.data.data(), event.data.size(),
                         static_cast<off_t>(event.position)),
                static_cast<ssize_t>(event.data.size()));
    }
  }

  void expect_synced(const std::string& file, size_t cut) {
    const Synced* last = nullptr;
    for (const Synced& sync : syncs_) {
      if (sync.end <= cut) last = &sync;
    }
    std::set<std::string> later;
    for (size_t i = last->step; i < steps_.size() && steps_[i].start <= cut; ++i) {
      later.insert(steps_[i].touched.begin(), steps_[i].touched.end());
    }
    Opened image = open(file);
    ASSERT_TRUE(image.image);
    expect_files(image.image.get(), last->files, later);
    close(&image, file);
  }

  std::string base_;
  Log log_;
  std::vector<Step> steps_;
  std::vector<Synced> syncs_;
};

TEST_P(ExtPowerCut, AtAnyWrite) {
  record_work();
  const std::string file = path("image");
  std::mt19937 random(11);
  for (unsigned round = 0; round < repeats(40) && !HasFailure(); ++round) {
    const size_t first = syncs_.front().end;
    const size_t cut = first + random() % (log_.events.size() - first);
    write_part(file, cut, &random);
    recover(file);
    expect_synced(file, cut);
    if (HasFailure()) ADD_FAILURE() << "cut at " << cut << " of " << log_.events.size();
  }
}

/// It takes several steps, with a commit between them where memory is short: at each flush the file
/// is whole, or nothing of it is left.
TEST_F(ExtTest, PowerCutsWhileALargeFileGoes) {
  const std::string base = make("base", 220, {"-t", "ext4", "-b", "1024", "-J", "size=1"});
  const uint64_t size = uint64_t{180} << 20;
  {
    Opened image = open(base);
    const NodeId node = put(image.image.get(), image->root(), "large", "");
    ASSERT_TRUE(image->fallocate(node, 0, 0, size));
    close(&image, base);
  }
  const std::string file = path("image");
  run({"cp", "--sparse=always", base, file});
  Log log;
  {
    ExtOptions options;
    options.wrap = record;
    options.wrap_data = &log;
    Opened image = open(file, options);
    ASSERT_TRUE(image->unlink(image->root(), "large"));
    ASSERT_TRUE(image->close());
  }
  unsigned cuts = 0;
  for (size_t cut = 0; cut < log.events.size(); ++cut) {
    if (!log.events[cut].flush) continue;
    ++cuts;
    run({"cp", "--sparse=always", base, file});
    UniqueFd fd(::open(file.c_str(), O_RDWR));
    for (size_t i = 0; i < cut; ++i) {
      const Log::Event& event = log.events[i];
      ASSERT_EQ(::pwrite(fd.get(), event.data.data(), event.data.size(),
                         static_cast<off_t>(event.position)),
                static_cast<ssize_t>(event.data.size()));
    }
    fd.reset();
    Opened image = open(file);
    ASSERT_TRUE(image.image);
    EXPECT_EQ(image.why, "");
    const NodeId node = at(image.image.get(), "large");
    if (node != 0) {
      EXPECT_EQ(image->getattr(node)->stx_size, size);
      EXPECT_GE(image->getattr(node)->stx_blocks, size / 512);
    } else {
      EXPECT_GT(image->statfs()->f_bfree, size / 1024);
    }
    close(&image, file);
  }
  EXPECT_GT(cuts, 4u);
}

TEST_P(ExtCrash, KilledAtAnyMoment) {
  struct Shared {
    std::atomic<unsigned> started;  ///< steps
    std::atomic<unsigned> synced;   ///< steps before the last sync that is done
  };
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* shared = new (memory) Shared();
  std::mt19937 random(3);
  for (unsigned round = 0; round < repeats(6) && !HasFailure(); ++round) {
    const std::string file = make("image", 16, GetParam().options);
    shared->started = shared->synced = 0;
    const pid_t pid = ::fork();
    if (pid == 0) {
      Opened image = open(file);
      ExtWorkload work(round);
      work.prepare(image.image.get());
      for (;;) {
        ++shared->started;
        if (work.step(image.image.get())) shared->synced = shared->started.load();
      }
    }
    for (int i = 0; i < 30000 && shared->synced == 0; ++i) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(random() % 200000));
    ::kill(pid, SIGKILL);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    ASSERT_NE(shared->synced, 0u);
    recover(file);
    ExtWorkload model(round);
    model.prepare(nullptr);
    ExtWorkload::Files files;
    std::set<std::string> later;
    for (unsigned step = 1; step <= shared->started; ++step) {
      model.step(nullptr);
      if (step == shared->synced) files = model.files();
      if (step > shared->synced) later.insert(model.touched().begin(), model.touched().end());
    }
    Opened image = open(file);
    ASSERT_TRUE(image.image);
    expect_files(image.image.get(), files, later);
    close(&image, file);
  }
  ::munmap(memory, sizeof(Shared));
}

const auto kVariants =
    ::testing::Values(Variant{"ext4", {"-t", "ext4"}},
                      Variant{"ext4_1k", {"-t", "ext4", "-b", "1024", "-J", "size=1"}},
                      Variant{"ext4_64bit_nocsum", {"-t", "ext4", "-O", "64bit,^metadata_csum"}},
                      Variant{"ext2", {"-t", "ext2", "-b", "1024"}},
                      Variant{"ext2_extents", {"-t", "ext4", "-O", "^has_journal"}});
const auto kName = [](const auto& each) { return std::string(each.param.name); };
INSTANTIATE_TEST_SUITE_P(All, ExtCrash, kVariants, kName);
INSTANTIATE_TEST_SUITE_P(All, ExtPowerCut, kVariants, kName);

}  // namespace
}  // namespace viewsh

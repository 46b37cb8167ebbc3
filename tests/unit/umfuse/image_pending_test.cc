// What fsync(2) in an image costs: what was announced is compared, and nothing else.
#include "image_pending.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext_image.h"
#include "scratch_host.h"
#include "writable_fs.h"

namespace viewsh {
namespace {

constexpr uint64_t kLong = uint64_t{24} << 20;
constexpr pid_t kTask = 1;

class PendingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string file = host_.state_dir() + "/image";
    const std::string make = "truncate -s 64M " + file + " && PATH=$PATH:/sbin:/usr/sbin " +
                             "mke2fs -q -F -t ext4 " + file + " >/dev/null 2>&1";
    if (system(make.c_str()) != 0) GTEST_SKIP() << "mke2fs doesn't work";
    fd_.reset(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    std::string why;
    auto image = ExtImage::open(fd_.get(), {}, &why);
    ASSERT_TRUE(image) << why;
    ImageStage::Limits limits;
    limits.writable = true;
    limits.as_root = true;
    mounted_ = std::make_shared<MountedImage>(nullptr, std::move(*image), host_, 0x80001, limits);
    fs_ = std::make_shared<WritableImageFs>(mounted_, mounted_->image->root());
    file_ = open("long", O_RDWR | O_CREAT);
    const std::string part(1 << 20, 'a');
    for (uint64_t at = 0; at < kLong; at += part.size())
      ASSERT_EQ(::pwrite(file_.get(), part.data(), part.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(part.size()));
    announce({kTask, 0, kLong});
    sync();
    announce({kTask});
    sync();  // now nothing is on its way any more
  }
  UniqueFd open(const std::string& path, int flags) {
    const auto plan =
        fs_->plan_open(path, {.flags = flags, .mode = 0644, .announced = announced_}, kRoot);
    if (!plan) return UniqueFd();
    host_path_ = plan->host;
    UniqueFd fd(::open(plan->host.c_str(), plan->flags | O_CLOEXEC, plan->mode));
    if (plan->notify) fs_->opened(path, *plan, fd.valid());
    return fd;
  }
  void announce(const PlannedWrite& write) { fs_->writing(host_path_, write); }
  void write(const std::string& text, uint64_t offset) {
    ASSERT_EQ(::pwrite(file_.get(), text.data(), text.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(text.size()));
  }
  /// Bytes that were compared for it.
  uint64_t sync() {
    const uint64_t before = mounted_->pending->compared();
    EXPECT_TRUE(fs_->sync_names(host_path_));
    return mounted_->pending->compared() - before;
  }
  std::string in_image(uint64_t offset, size_t size) {
    const auto node = mounted_->writable->lookup(mounted_->image->root(), "long");
    std::string out(size, '\0');
    EXPECT_TRUE(node && mounted_->writable->pread(*node, out.data(), size, offset));
    return out;
  }

  static constexpr Caller kRoot = {};
  bool announced_ = true;
  ScratchHost host_;
  UniqueFd fd_;
  std::shared_ptr<MountedImage> mounted_;
  std::shared_ptr<WritableImageFs> fs_;
  std::string host_path_;
  UniqueFd file_;
};

TEST_F(PendingTest, AnnouncedWritesAreComparedAlone) {
  EXPECT_TRUE(fs_->asks_where(host_path_));
  announce({kTask, 5'000'000, 3});
  write("new", 5'000'000);
  EXPECT_LE(sync(), 8192U);
  EXPECT_EQ(in_image(5'000'000 - 1, 5), "anewa");
}

TEST_F(PendingTest, NothingWrittenNothingCompared) { EXPECT_EQ(sync(), 0U); }

TEST_F(PendingTest, MappedIsComparedAsAWhole) {
  announce({kTask, 0, 0, false, true});
  write("new", 7'000'000);
  EXPECT_EQ(sync(), kLong);
  EXPECT_EQ(in_image(7'000'000, 3), "new");
}

TEST_F(PendingTest, AWriterWhoAnnouncesNothing) {
  announced_ = false;
  const UniqueFd other = open("long", O_WRONLY);
  ASSERT_TRUE(other);
  write("new", 9'000'000);
  EXPECT_EQ(sync(), kLong);
  EXPECT_EQ(in_image(9'000'000, 3), "new");
}

TEST_F(PendingTest, AtTheEndEverythingIsCompared) {
  announce({kTask, 100, 1});
  write("b", 100);
  sync();
  write("missed", 11'000'000);
  file_.reset();
  EXPECT_TRUE(fs_->sync_all());
  EXPECT_EQ(in_image(11'000'000, 6), "missed");
}

TEST_F(PendingTest, ShorterAndLongerAgain) {
  SetAttr shorter;
  shorter.size = 1'000'000;
  ASSERT_TRUE(fs_->setattr("long", shorter, kRoot));
  announce({kTask, 3'000'000, 1});
  write("z", 3'000'000);
  EXPECT_LE(sync(), 8192U);
  EXPECT_EQ(in_image(999'999, 2), std::string("a\0", 2));
  EXPECT_EQ(in_image(2'999'999, 2), std::string("\0z", 2));
}

TEST_F(PendingTest, TimesAreThoseOfTheWriteNotOfTheSync) {
  announce({kTask, 100, 3});
  write("new", 100);
  const auto before = fs_->getattr("long");
  ASSERT_TRUE(before);
  usleep(50'000);
  file_.reset();
  ASSERT_TRUE(fs_->sync_all());
  ASSERT_FALSE(mounted_->pending->pending(before->stx_ino));
  const auto after = fs_->getattr("long");
  ASSERT_TRUE(after);
  EXPECT_EQ(after->stx_mtime.tv_nsec, before->stx_mtime.tv_nsec);
  EXPECT_EQ(after->stx_ctime.tv_nsec, before->stx_ctime.tv_nsec);
  EXPECT_EQ(in_image(100, 3), "new");
}

TEST_F(PendingTest, ATimeThatWasSetOutlivesTheWriteBefore) {
  announce({kTask, 100, 3});
  write("new", 100);
  SetAttr when;
  when.mtime = timespec{1000, 5};
  ASSERT_TRUE(fs_->setattr("long", when, kRoot));
  EXPECT_EQ(fs_->getattr("long")->stx_mtime.tv_sec, 1000);
  ASSERT_TRUE(fs_->sync_all());
  EXPECT_EQ(in_image(100, 3), "new");
  EXPECT_EQ(fs_->getattr("long")->stx_mtime.tv_sec, 1000);
  // What is written later counts again.
  announce({kTask, 200, 3});
  write("now", 200);
  EXPECT_GT(fs_->getattr("long")->stx_mtime.tv_sec, 1000);
  file_.reset();
  ASSERT_TRUE(fs_->sync_all());
  EXPECT_GT(fs_->getattr("long")->stx_mtime.tv_sec, 1000);
  EXPECT_EQ(in_image(200, 3), "now");
}

}  // namespace
}  // namespace viewsh

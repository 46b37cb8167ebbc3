#include "vfs/device_fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "viewsh/unique_fd.h"

namespace viewsh {
namespace {

/// A block device that a memory file of this process stands for.
class MemoryDisk : public Device {
 public:
  explicit MemoryDisk(std::string host) : host_(std::move(host)) {}
  Attr attr() const override {
    Attr attr{};
    attr.stx_mode = S_IFBLK | 0660;
    attr.stx_rdev_major = 1;
    attr.stx_rdev_minor = 7;
    return attr;
  }
  Result<std::string> open(int) override { return host_; }

 private:
  std::string host_;
};

Attr attr_of(const std::string& path) {
  Attr attr{};
  EXPECT_EQ(statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &attr), 0) << path;
  return attr;
}

TEST(DeviceFs, TheObjectThatStandsForIt) {
  UniqueFd disk(memfd_create("disk", MFD_CLOEXEC));
  UniqueFd other(memfd_create("other", MFD_CLOEXEC));
  const std::string host = "/proc/self/fd/" + std::to_string(disk.get());
  DeviceFs fs(std::make_unique<MemoryDisk>(host));
  EXPECT_FALSE(fs.fixes_attr()) << "nobody has opened it";
  EXPECT_FALSE(fs.stands_for_device(attr_of(host)));
  ASSERT_TRUE(fs.plan_open("", {O_RDWR, 0}, {}).ok());
  EXPECT_TRUE(fs.fixes_attr());
  Attr attr = attr_of(host);
  EXPECT_TRUE(fs.stands_for_device(attr));
  EXPECT_TRUE(fs.fix_attr(&attr));
  EXPECT_EQ(attr.stx_mode, S_IFBLK | 0660U);
  EXPECT_EQ(attr.stx_rdev_minor, 7U);
  EXPECT_EQ(attr.stx_ino, fs.getattr("")->stx_ino);
  Attr stranger = attr_of("/proc/self/fd/" + std::to_string(other.get()));
  EXPECT_FALSE(fs.fix_attr(&stranger));
  // The same inode number, but born later: another object.
  Attr later = attr_of(host);
  later.stx_btime.tv_nsec ^= 1;
  EXPECT_FALSE(fs.stands_for_device(later));
}

TEST(DeviceFs, NewObjectsAreMarkedFromThenOn) {
  struct Marks final : AttrMarks {
    void mark(uint64_t ino) override { seen.push_back(ino); }
    std::vector<uint64_t> seen;
  } marks;
  UniqueFd disk(memfd_create("disk", MFD_CLOEXEC));
  const std::string host = "/proc/self/fd/" + std::to_string(disk.get());
  DeviceFs fs(std::make_unique<MemoryDisk>(host));
  EXPECT_TRUE(fs.mark_attr(&marks));
  EXPECT_TRUE(marks.seen.empty());
  ASSERT_TRUE(fs.plan_open("", {O_RDWR, 0}, {}).ok());
  EXPECT_EQ(marks.seen, std::vector<uint64_t>{attr_of(host).stx_ino});
  ASSERT_TRUE(fs.mark_attr(&marks));
  EXPECT_EQ(marks.seen.size(), 2U) << "all are said again";
}

TEST(DeviceFs, ADeviceOfTheHostAnswersForItself) {
  DeviceFs fs(std::make_unique<MemoryDisk>("/dev/null"));
  ASSERT_TRUE(fs.plan_open("", {O_RDWR, 0}, {}).ok());
  EXPECT_FALSE(fs.fixes_attr());
  EXPECT_FALSE(fs.stands_for_device(attr_of("/dev/null")));
}

}  // namespace
}  // namespace viewsh

#include "ram_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

namespace viewsh {
namespace {

DeviceRequest request(uint64_t size) {
  DeviceRequest out;
  out.type = "ram";
  out.path = "/dev/ram3";
  out.size = size;
  return out;
}

template <typename T>
T ask(Device& disk, unsigned number) {
  std::string block(8, '\xee');
  EXPECT_TRUE(disk.ioctl(number, &block).ok());
  T value;
  ::memcpy(&value, block.data(), sizeof value);
  return value;
}

TEST(RamDisk, IsABlockDeviceOfItsSize) {
  MountError error{};
  std::unique_ptr<Device> disk = open_ram_disk(request(1 << 20), &error);
  ASSERT_NE(disk, nullptr) << error.text;
  EXPECT_EQ(disk->attr().stx_mode, S_IFBLK | 0660);
  EXPECT_EQ(disk->attr().stx_rdev_major, 1U);
  EXPECT_EQ(disk->attr().stx_rdev_minor, 3U);
  EXPECT_EQ(ask<uint64_t>(*disk, BLKGETSIZE64), 1U << 20);
  EXPECT_EQ(ask<unsigned long>(*disk, BLKGETSIZE), 2048U);
  EXPECT_EQ(ask<int>(*disk, BLKSSZGET), 512);
  EXPECT_EQ(ask<unsigned>(*disk, BLKPBSZGET), 512U);
  EXPECT_EQ(ask<int>(*disk, BLKROGET), 0);
  EXPECT_EQ(ask<int>(*disk, BLKBSZGET), 4096);
  std::string block(8, '\0');
  EXPECT_TRUE(disk->ioctl(BLKFLSBUF, &block).ok());
  EXPECT_EQ(disk->ioctl(BLKRRPART, &block).error(), ENOTTY);
}

TEST(RamDisk, BlockSizeIsAPowerOfTwo) {
  MountError error{};
  std::unique_ptr<Device> disk = open_ram_disk(request(1 << 20), &error);
  ASSERT_NE(disk, nullptr);
  for (int wrong : {0, -1, 256, 1000, 8192}) {
    std::string block(8, '\0');
    ::memcpy(block.data(), &wrong, sizeof wrong);
    EXPECT_EQ(disk->ioctl(BLKBSZSET, &block).error(), EINVAL) << wrong;
  }
  int right = 1024;
  std::string block(8, '\0');
  ::memcpy(block.data(), &right, sizeof right);
  EXPECT_TRUE(disk->ioctl(BLKBSZSET, &block).ok());
  EXPECT_EQ(ask<int>(*disk, BLKBSZGET), 1024);
}

TEST(RamDisk, EveryOpenSeesTheSameBytesAtItsOwnOffset) {
  MountError error{};
  std::unique_ptr<Device> disk = open_ram_disk(request(8192), &error);
  ASSERT_NE(disk, nullptr);
  int one = ::open(disk->open(O_RDWR)->c_str(), O_RDWR | O_CLOEXEC);
  int two = ::open(disk->open(O_RDONLY)->c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(one, 0);
  ASSERT_GE(two, 0);
  EXPECT_EQ(::write(one, "hello", 5), 5);
  char buffer[6] = {};
  EXPECT_EQ(::read(two, buffer, 5), 5);
  EXPECT_STREQ(buffer, "hello");
  EXPECT_EQ(::lseek(one, 0, SEEK_END), 8192);
  EXPECT_LT(::write(one, "x", 1), 0);
  ::close(one);
  ::close(two);
}

TEST(RamDisk, ReadOnlyMeansIt) {
  MountError error{};
  DeviceRequest wanted = request(4096);
  wanted.options["ro"] = "";
  std::unique_ptr<Device> disk = open_ram_disk(wanted, &error);
  ASSERT_NE(disk, nullptr) << error.text;
  EXPECT_EQ(disk->open(O_RDWR).error(), EACCES);
  EXPECT_TRUE(disk->open(O_RDONLY).ok());
  EXPECT_EQ(ask<int>(*disk, BLKROGET), 1);
}

TEST(RamDisk, RefusalsSayWhy) {
  MountError error{};
  EXPECT_EQ(open_ram_disk(request(0), &error), nullptr);
  EXPECT_EQ(error.text, "/dev/ram3: type ram: needs a size");
  EXPECT_EQ(open_ram_disk(request(1000), &error), nullptr);
  EXPECT_EQ(error.text, "/dev/ram3: type ram: size: not a multiple of 512");
  DeviceRequest source = request(4096);
  source.source = "/x";
  EXPECT_EQ(open_ram_disk(source, &error), nullptr);
}

}  // namespace
}  // namespace viewsh

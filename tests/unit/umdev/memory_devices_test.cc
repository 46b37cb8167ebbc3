#include "memory_devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "stream_feeder.h"
#include "temp_host.h"

namespace viewsh {
namespace {

DeviceRequest request(std::string type, std::string path) {
  DeviceRequest out;
  out.type = std::move(type);
  out.path = std::move(path);
  return out;
}

class MemoryDevices : public testing::Test {
 protected:
  std::unique_ptr<Device> device(const DeviceRequest& wanted) {
    std::unique_ptr<Device> made = open_memory_device(wanted, *feeder_, &error_);
    EXPECT_NE(made, nullptr) << error_.text;
    return made;
  }
  std::unique_ptr<Device> seeded(uint64_t seed) {
    DeviceRequest wanted = request("random", "/dev/urandom");
    wanted.seed = seed;
    return device(wanted);
  }
  int open_fd(Device& from) {
    Result<std::string> path = from.open(O_RDONLY);
    EXPECT_TRUE(path.ok());
    return ::open(path->c_str(), O_RDONLY | O_CLOEXEC);
  }
  std::string take(int fd, size_t size) {
    std::string out(size, '\0');
    size_t done = 0;
    while (done < size) {
      ssize_t got = ::read(fd, out.data() + done, size - done);
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    out.resize(done);
    return out;
  }
  bool ends_at(size_t streams) {
    for (int i = 0; i < 500 && feeder_->streams() != streams; ++i) ::usleep(10'000);
    return feeder_->streams() == streams;
  }

  TempHost host_;
  std::unique_ptr<StreamFeeder> feeder_ = std::make_unique<StreamFeeder>(host_);
  MountError error_{Errno(), ""};
};

TEST_F(MemoryDevices, NodesLookLikeLinuxOnes) {
  struct {
    const char* type;
    const char* path;
    unsigned minor;
  } rows[] = {{"null", "/dev/null", 3},
              {"zero", "/dev/zero", 5},
              {"full", "/dev/full", 7},
              {"random", "/dev/random", 8},
              {"random", "/dev/urandom", 9}};
  for (const auto& row : rows) {
    std::unique_ptr<Device> made = device(request(row.type, row.path));
    EXPECT_EQ(made->attr().stx_mode, S_IFCHR | 0666);
    EXPECT_EQ(made->attr().stx_rdev_major, 1U);
    EXPECT_EQ(made->attr().stx_rdev_minor, row.minor);
    EXPECT_EQ(*made->open(O_RDWR), row.path);
    EXPECT_EQ(made->ioctl(1, nullptr).error(), ENOTTY);
  }
}

TEST_F(MemoryDevices, WhatMakesNoSenseIsRefused) {
  DeviceRequest seed = request("null", "/dev/null");
  seed.seed = 1;
  EXPECT_EQ(open_memory_device(seed, *feeder_, &error_), nullptr);
  EXPECT_EQ(error_.text, "/dev/null: type null: takes no seed");
  DeviceRequest option = request("zero", "/dev/zero");
  option.options["speed"] = "9";
  EXPECT_EQ(open_memory_device(option, *feeder_, &error_), nullptr);
  EXPECT_EQ(error_.text, "/dev/zero: type zero: unknown option 'speed'");
  DeviceRequest mode = request("zero", "/dev/zero");
  mode.options["mode"] = "0888";
  EXPECT_EQ(open_memory_device(mode, *feeder_, &error_), nullptr);
}

TEST_F(MemoryDevices, ASeedRepeatsItsStreams) {
  constexpr size_t kSize = 300'000;  // more than a pipe holds
  std::string first[2];
  for (std::string& all : first) {
    std::unique_ptr<Device> made = seeded(42);
    int one = open_fd(*made);
    int two = open_fd(*made);
    std::string a = take(one, kSize);
    std::string b = take(two, 64);
    EXPECT_EQ(a.size(), kSize);
    EXPECT_NE(a.substr(0, 64), b);
    all = a + b;
    ::close(one);
    ::close(two);
  }
  EXPECT_TRUE(first[0] == first[1]);
  std::unique_ptr<Device> other = seeded(43);
  int fd = open_fd(*other);
  EXPECT_NE(take(fd, 64), first[0].substr(0, 64));
  ::close(fd);
}

TEST_F(MemoryDevices, AStreamEndsWithItsReader) {
  std::unique_ptr<Device> made = seeded(1);
  for (int i = 0; i < 50; ++i) {
    int fd = open_fd(*made);
    EXPECT_EQ(take(fd, 100'000).size(), 100'000U);
    ::close(fd);
  }
  EXPECT_TRUE(ends_at(0)) << feeder_->streams();
}

TEST_F(MemoryDevices, OpensThatNobodyReadsDoNotPileUp) {
  std::unique_ptr<Device> made = seeded(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(made->open(O_RDONLY).ok());
  EXPECT_TRUE(ends_at(StreamFeeder::kUnread)) << feeder_->streams();
}

TEST_F(MemoryDevices, AnOpenThatReadsLateStillReads) {
  std::unique_ptr<Device> made = seeded(1);
  int fd = open_fd(*made);
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(made->open(O_RDONLY).ok());
  EXPECT_TRUE(ends_at(StreamFeeder::kUnread + 1)) << feeder_->streams();
  EXPECT_EQ(take(fd, 200'000).size(), 200'000U);
  ::close(fd);
}

TEST_F(MemoryDevices, NothingStaysBehind) {
  std::unique_ptr<Device> made = seeded(1);
  ASSERT_TRUE(made->open(O_RDONLY).ok());
  int fd = open_fd(*made);
  feeder_.reset();
  EXPECT_TRUE(host_.gone());
  ::close(fd);
}

}  // namespace
}  // namespace viewsh

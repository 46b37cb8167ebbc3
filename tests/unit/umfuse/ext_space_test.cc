#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "ext_fixture.h"

namespace viewsh {
namespace {

class ExtSpace : public ExtTest {};

void write_all(ExtImage* image, NodeId node, const std::string& bytes, uint64_t offset) {
  const auto put = image->pwrite(node, bytes.data(), bytes.size(), offset);
  ASSERT_TRUE(put && *put == bytes.size()) << put.error().message();
}

TEST_F(ExtSpace, LargeSparseFiles) {
  for (const std::string type : {"ext4", "ext3"}) {
    const std::string file = make("image", 64, {"-t", type});
    const uint64_t far = uint64_t{5} << 30;
    Opened image = open(file);
    const NodeId node = put(image.image.get(), image->root(), "file", "start");
    write_all(image.image.get(), node, "end", far);
    EXPECT_EQ(image->getattr(node)->stx_size, far + 3);
    EXPECT_LT(image->getattr(node)->stx_blocks, 64u);
    char byte = 'x';
    EXPECT_TRUE(image->pread(node, &byte, 1, far / 2));
    EXPECT_EQ(byte, '\0');
    const std::string out = path("out");
    UniqueFd to(::open(out.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600));
    ASSERT_TRUE(image->extract(node, to.get()));
    struct stat st;
    ASSERT_EQ(::fstat(to.get(), &st), 0);
    EXPECT_EQ(static_cast<uint64_t>(st.st_size), far + 3);
    EXPECT_LT(st.st_blocks, 64);
    SetAttr shorter;
    shorter.size = 4;
    ASSERT_TRUE(image->setattr(node, shorter));
    EXPECT_EQ(get(image.image.get(), node), "star");
    shorter.size = 6;
    ASSERT_TRUE(image->setattr(node, shorter));
    EXPECT_EQ(get(image.image.get(), node), std::string("star\0\0", 6));
    EXPECT_EQ(image->pwrite(node, "x", 1, uint64_t{1} << 60).error(), EFBIG);
    close(&image, file);
  }
}

TEST_F(ExtSpace, ReservedBlocksReadAsZeros) {
  const std::string file = make("image", 64, {"-t", "ext4"});
  Opened image = open(file);
  const NodeId node = put(image.image.get(), image->root(), "file", "");
  ASSERT_TRUE(image->fallocate(node, 0, 0, 20 << 20));
  EXPECT_EQ(image->getattr(node)->stx_size, 20u << 20);
  EXPECT_GE(image->getattr(node)->stx_blocks, (20u << 20) / 512);
  write_all(image.image.get(), node, pattern(10000, 1), 5 << 20);
  std::string expected(20 << 20, '\0');
  expected.replace(5 << 20, 10000, pattern(10000, 1));
  EXPECT_TRUE(get(image.image.get(), node) == expected);
  ASSERT_TRUE(image->fallocate(node, FALLOC_FL_ZERO_RANGE, (5 << 20) + 100, 5000));
  expected.replace((5 << 20) + 100, 5000, std::string(5000, '\0'));
  EXPECT_TRUE(get(image.image.get(), node) == expected);
  ASSERT_TRUE(image->fallocate(node, FALLOC_FL_KEEP_SIZE, 20 << 20, 4 << 20));
  EXPECT_EQ(image->getattr(node)->stx_size, 20u << 20);
  ASSERT_TRUE(image->fallocate(node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 20 << 20));
  EXPECT_EQ(image->fallocate(node, FALLOC_FL_COLLAPSE_RANGE, 0, 4096).error(), EOPNOTSUPP);
  EXPECT_EQ(image->fallocate(node, 0, 0, 0).error(), EINVAL);
  close(&image, file);
}

TEST_F(ExtSpace, AFullDisk) {
  for (const std::string type : {"ext4", "ext3", "ext2"}) {
    const std::string file = make("image", 16, {"-t", type, "-b", "1024", "-N", "256", "-m", "10"});
    ExtOptions options;
    options.uid = options.gid = 1000;
    Opened image = open(file, options);
    ExtImage* ext = image.image.get();
    const std::string bytes = pattern(100000, 1);
    const NodeId large = put(ext, ext->root(), "large", "");
    uint64_t size = 0;
    Result<size_t> put = size_t{0};
    while ((put = ext->pwrite(large, bytes.data(), bytes.size(), size)) && *put == bytes.size()) {
      size += *put;
    }
    if (put) size += *put;
    EXPECT_EQ(ext->pwrite(large, bytes.data(), bytes.size(), size + 1024).error(), ENOSPC);
    EXPECT_EQ(ext->getattr(large)->stx_size, size);
    EXPECT_EQ(ext->statfs()->f_bavail, 0u);
    EXPECT_GT(ext->statfs()->f_bfree, 1000u);  // the administrator's
    EXPECT_EQ(ext->mkdir(ext->root(), "dir", file_node()).error(), ENOSPC);
    EXPECT_TRUE(ext->mknod(ext->root(), "empty", file_node()));
    EXPECT_EQ(ext->symlink(ext->root(), "slow", std::string(500, 'x'), {}).error(), ENOSPC);
    // What is freed can be used at once.
    ASSERT_TRUE(ext->unlink(ext->root(), "large"));
    const NodeId again = ExtTest::put(ext, ext->root(), "again", bytes);
    EXPECT_EQ(get(ext, again), bytes);
    Result<NodeId> node = NodeId{0};
    for (int i = 0; i < 300 && node; ++i) {
      node = ext->mknod(ext->root(), "inode" + std::to_string(i), file_node());
    }
    EXPECT_EQ(node.error(), ENOSPC);
    EXPECT_EQ(ext->statfs()->f_ffree, 0u);
    close(&image, file);
    Opened root = open(file);
    const NodeId all = at(root.image.get(), "again");
    for (put = size_t{1}, size = 0; put && *put != 0; size += put ? *put : 0) {
      put = root->pwrite(all, bytes.data(), bytes.size(), size);
    }
    EXPECT_EQ(put.error(), ENOSPC);
    EXPECT_LT(root->statfs()->f_bfree, 8u);
    close(&root, file);
  }
}

/// Nothing is left of a file in the extents that used to be its blocks.
TEST_F(ExtSpace, ManyExtents) {
  const std::string file = make("image", 64, {"-t", "ext4", "-b", "1024"});
  Opened image = open(file);
  ExtImage* ext = image.image.get();
  const uint64_t free = ext->statfs()->f_bfree;
  const NodeId a = put(ext, ext->root(), "a", "");
  const NodeId b = put(ext, ext->root(), "b", "");
  for (uint64_t i = 0; i < 6000; ++i) {
    write_all(ext, i % 2 ? a : b, pattern(1024, i), i * 2048);
  }
  for (uint64_t i = 0; i < 6000; i += 111) {
    std::string read(1024, '\0');
    ASSERT_TRUE(ext->pread(i % 2 ? a : b, read.data(), read.size(), i * 2048));
    ASSERT_EQ(read, pattern(1024, i));
  }
  ASSERT_TRUE(ext->sync());
  for (uint64_t i = 0; i < 6000; i += 4) {
    ASSERT_TRUE(ext->fallocate(b, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * 2048, 1024));
  }
  ASSERT_TRUE(ext->unlink(ext->root(), "a"));
  ASSERT_TRUE(ext->unlink(ext->root(), "b"));
  ASSERT_TRUE(ext->sync());
  EXPECT_EQ(ext->statfs()->f_bfree, free);
  close(&image, file);
}

class ExtSpeed : public ExtTest {
 protected:
  using Clock = std::chrono::steady_clock;
  static constexpr int kFiles = 8000;

  static void say(const char* what, const char* did, Clock::time_point start) {
    printf("%s: %s %.3f s\n", what, did,
           std::chrono::duration<double>(Clock::now() - start).count());
  }

  void time_native() {
    const std::string native = path("native");
    auto start = Clock::now();
    ::mkdir(native.c_str(), 0755);
    for (int i = 0; i < kFiles; ++i) {
      const std::string dir = native + "/d" + std::to_string(i / 20);
      if (i % 20 == 0) ::mkdir(dir.c_str(), 0755);
      const int fd = ::open((dir + "/f" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0644);
      EXPECT_EQ(::write(fd, content_.data(), content_.size()), 1000);
      ::close(fd);
    }
    say("native", "8000 files made", start);
    start = Clock::now();
    const int fd = ::open((native + "/large").c_str(), O_CREAT | O_RDWR, 0644);
    for (int i = 0; i < 256; ++i) EXPECT_EQ(::write(fd, megabyte_.data(), 1 << 20), 1 << 20);
    say("native", "256 MB written", start);
    start = Clock::now();
    ::fdatasync(fd);
    say("native", "synced", start);
    ::close(fd);
  }

  void time_making(const char* type, ExtImage* ext) {
    auto start = Clock::now();
    NodeId dir = 0;
    for (int i = 0; i < kFiles; ++i) {
      WritableImage::NewNode node;
      node.mode = 0755;
      if (i % 20 == 0) dir = *ext->mkdir(ext->root(), "d" + std::to_string(i / 20), node);
      put(ext, dir, "f" + std::to_string(i), content_);
    }
    say(type, "8000 files made", start);
    start = Clock::now();
    EXPECT_TRUE(ext->sync());
    say(type, "synced", start);
  }

  void time_reading(const char* type, ExtImage* ext) {
    const auto start = Clock::now();
    const auto all = ext->list(ext->root());
    for (const DirEntry& entry : *all) {
      const auto files = ext->list(entry.ino);
      for (const DirEntry& inner : *files) get(ext, *ext->lookup(entry.ino, inner.name));
    }
    say(type, "8000 files listed and read", start);
  }

  void time_large(const char* type, ExtImage* ext) {
    auto start = Clock::now();
    const NodeId large = put(ext, ext->root(), "large", "");
    for (uint64_t i = 0; i < 256; ++i) write_all(ext, large, megabyte_, i << 20);
    say(type, "256 MB written", start);
    start = Clock::now();
    EXPECT_TRUE(ext->sync());
    say(type, "synced", start);
    start = Clock::now();
    std::string read(1 << 20, '\0');
    for (uint64_t i = 0; i < 256; ++i) {
      EXPECT_TRUE(ext->pread(large, read.data(), 1 << 20, i << 20));
    }
    say(type, "256 MB read", start);
  }

 private:
  const std::string content_ = pattern(1000, 1);
  const std::string megabyte_ = pattern(1 << 20, 2);
};

/// Figures for a person; nothing is asserted about them.
TEST_F(ExtSpeed, Figures) {
  if (::getenv("VIEWSH_EXT_SPEED") == nullptr) GTEST_SKIP() << "VIEWSH_EXT_SPEED is not set";
  time_native();
  for (const char* type : {"ext4", "ext2"}) {
    const std::string file = make("image", 512, {"-t", type});
    Opened image = open(file);
    time_making(type, image.image.get());
    close(&image, file);
    image = open(file);
    time_reading(type, image.image.get());
    time_large(type, image.image.get());
    close(&image, file);
  }
}

}  // namespace
}  // namespace viewsh

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <set>

#include "ext_device.h"
#include "ext_fixture.h"

namespace viewsh {
namespace {

/// Notes which 512 bytes were read: those that a mutation should hit.
class WatchingDevice : public ExtDevice {
 public:
  WatchingDevice(std::unique_ptr<ExtDevice> below, std::set<uint64_t>* seen)
      : below_(std::move(below)), seen_(seen) {}
  uint64_t size() const override { return below_->size(); }
  Result<void> read(void* to, size_t size, uint64_t position) override {
    for (uint64_t at = position / 512; at * 512 < position + size; ++at) seen_->insert(at);
    return below_->read(to, size, position);
  }
  Result<void> write(const void* from, size_t size, uint64_t position) override {
    return below_->write(from, size, position);
  }
  Result<void> flush() override { return {}; }

 private:
  std::unique_ptr<ExtDevice> below_;
  std::set<uint64_t>* seen_;
};

std::unique_ptr<ExtDevice> watch(std::unique_ptr<ExtDevice> below, void* seen) {
  return std::make_unique<WatchingDevice>(std::move(below), static_cast<std::set<uint64_t>*>(seen));
}

struct Variant {
  const char* name;
  std::vector<std::string> options;
};

/// Images with some bytes changed: every call ends, without a crash. With checksums most changes
/// are seen at once, so there are more images without.
class ExtHostile : public ExtTest, public ::testing::WithParamInterface<Variant> {
 protected:
  std::string make_base() {
    const std::string root = path("source");
    ::mkdir(root.c_str(), 0755);
    ::mkdir((root + "/dir").c_str(), 0755);
    ::mkdir((root + "/small").c_str(), 0755);
    for (int i = 0; i < 200; ++i) {
      std::ofstream(root + "/dir/a_name_that_is_long_enough_" + std::to_string(i)) << i;
    }
    std::ofstream(root + "/file") << pattern(300000, 1);
    std::ofstream(root + "/tiny") << "tiny";
    std::ofstream(root + "/small/inner") << pattern(120, 2);
    EXPECT_EQ(::symlink("tiny", (root + "/link").c_str()), 0);
    EXPECT_EQ(::symlink(std::string(200, 'x').c_str(), (root + "/slow").c_str()), 0);
    auto options = GetParam().options;
    options.insert(options.end(), {"-N", "512", "-d", root});
    const std::string file = make("base", 4, options);
    Opened image = open(file);
    ExtImage* ext = image.image.get();
    const NodeId holes = put(ext, ext->root(), "holes", "");
    for (uint64_t i = 0; i < 60; ++i) {
      EXPECT_TRUE(ext->pwrite(holes, "x", 1, i * 16384));
    }
    EXPECT_TRUE(ext->setxattr(holes, "user.long", pattern(400, 3), 0));
    EXPECT_TRUE(ext->setxattr(holes, "user.short", "value", 0));
    close(&image, file);
    return file;
  }

  static void walk(ExtImage* image, NodeId node, int depth, int* budget) {
    if (--*budget < 0 || depth > 5) return;
    const auto attr = image->getattr(node);
    (void)image->listxattr(node);
    (void)image->getxattr(node, "user.long");
    (void)image->readlink(node);
    char buffer[8192];
    (void)image->pread(node, buffer, sizeof buffer, 100);
    if (attr) (void)image->pread(node, buffer, sizeof buffer, attr->stx_size / 2);
    const auto names = image->list(node);
    if (!names) return;
    for (const DirEntry& entry : *names) {
      EXPECT_TRUE(!entry.name.empty() && entry.name.find('/') == std::string::npos);
      const auto found = image->lookup(node, entry.name);
      if (found) walk(image, *found, depth + 1, budget);
    }
  }

  static void change(ExtImage* image, std::mt19937* random) {
    const NodeId root = image->root();
    NodeId nodes[8] = {root};
    const char* names[8] = {"", "dir", "small", "file", "tiny", "holes", "link", "slow"};
    for (int i = 1; i < 8; ++i) nodes[i] = at(image, names[i]);
    const std::string bytes = pattern(20000, 4);
    for (int i = 0; i < 12; ++i) {
      const NodeId node = nodes[(*random)() % 8];
      const uint64_t offset = (*random)() % 400000;
      const std::string name = "new" + std::to_string((*random)() % 6);
      SetAttr set;
      set.size = offset;
      switch ((*random)() % 11) {
        case 0:
          (void)image->pwrite(node, bytes.data(), bytes.size(), offset);
          break;
        case 1:
          (void)image->setattr(node, set);
          break;
        case 2:
          (void)image->mknod(node, name, file_node());
          break;
        case 3:
          (void)image->mkdir(node, name, file_node());
          break;
        case 4:
          (void)image->unlink(root, names[(*random)() % 8]);
          break;
        case 5:
          (void)image->rename(root, names[(*random)() % 8], node, name, 0);
          break;
        case 6:
          (void)image->setxattr(node, "user.new", bytes.substr(0, (*random)() % 300), 0);
          break;
        case 7:
          (void)image->fallocate(node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, 50000);
          break;
        case 8:
          (void)image->fallocate(node, 0, offset, 50000);
          break;
        case 9:
          (void)image->unlink(nodes[1], "a_name_that_is_long_enough_7");
          break;
        default:
          (void)image->sync();
      }
    }
  }

  /// True: it could be opened.
  static bool try_changed(const std::string& base, const std::vector<uint64_t>& places,
                          unsigned round) {
    std::mt19937 random(round);
    std::string bytes = base;
    mutate(&bytes, places, &random);
    UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ExtOptions options;
    options.ro = random() % 4 == 0;
    std::string why;
    auto image = ExtImage::open(fd.get(), options, &why);
    EXPECT_EQ(why.find('\n'), std::string::npos) << why;
    if (!image) {
      EXPECT_NE(why, "") << round;
      return false;
    }
    int budget = 1000;
    walk(image->get(), (*image)->root(), 0, &budget);
    if ((*image)->read_only()) return true;
    change(image->get(), &random);
    budget = 300;
    walk(image->get(), (*image)->root(), 0, &budget);
    (void)(*image)->close();
    return true;
  }

  static void mutate(std::string* bytes, const std::vector<uint64_t>& places,
                     std::mt19937* random) {
    const auto count = static_cast<unsigned>(1 + (*random)() % 6);
    for (unsigned i = 0; i < count; ++i) {
      const size_t at = places[(*random)() % places.size()] * 512 + (*random)() % 508;
      const uint32_t values[] = {0,
                                 1,
                                 0xffffffff,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffff,
                                 static_cast<uint32_t>((*random)() % 4096)};
      switch ((*random)() % 3) {
        case 0:
          (*bytes)[at] = static_cast<char>((*random)());
          break;
        case 1: {
          const uint32_t value = values[(*random)() % 7];
          bytes->replace(at & ~size_t{3}, 4, reinterpret_cast<const char*>(&value), 4);
          break;
        }
        default: {
          const auto value = static_cast<uint16_t>(values[(*random)() % 7]);
          bytes->replace(at & ~size_t{1}, 2, reinterpret_cast<const char*>(&value), 2);
        }
      }
    }
  }
};

TEST_P(ExtHostile, ChangedBytesDoNoHarm) {
  const std::string file = make_base();
  ASSERT_FALSE(HasFailure());
  std::set<uint64_t> seen;
  {
    ExtOptions options;
    options.wrap = watch;
    options.wrap_data = &seen;
    options.cache_bytes = 4096;
    options.noatime = true;
    Opened image = open(file, options);
    int budget = 2000;
    walk(image.image.get(), image->root(), 0, &budget);
    EXPECT_TRUE(image->close());
  }
  std::vector<uint64_t> places;
  for (const uint64_t place : seen) {
    places.push_back(place);
    // The superblock and the descriptors decide about most.
    for (int i = 0; i < 12 && place < 10; ++i) places.push_back(place);
  }
  std::ifstream in(file, std::ios::binary);
  std::string base(4 << 20, '\0');
  in.read(base.data(), static_cast<std::streamsize>(base.size()));
  const char* more = ::getenv("VIEWSH_EXT_MUTATIONS");
  const unsigned rounds = more != nullptr ? static_cast<unsigned>(std::atoi(more)) : 150;
  const char* from = ::getenv("VIEWSH_EXT_FIRST");
  const unsigned first = from != nullptr ? static_cast<unsigned>(std::atoi(from)) : 0;
  unsigned opened = 0;
  for (unsigned round = first; round < first + rounds; ++round) {
    if (more != nullptr) std::ofstream(file + ".round") << GetParam().name << " " << round;
    ::alarm(60);
    opened += try_changed(base, places, round);
    ::alarm(0);
  }
  EXPECT_GT(opened, rounds / 4);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExtHostile,
    ::testing::Values(Variant{"ext4", {"-t", "ext4", "-b", "1024", "-O", "^metadata_csum"}},
                      Variant{"ext4_4k", {"-t", "ext4", "-b", "4096", "-O", "^metadata_csum"}},
                      Variant{"inline",
                              {"-t", "ext4", "-b", "1024", "-I", "256", "-O",
                               "^metadata_csum,inline_data,^has_journal"}},
                      Variant{"ext2", {"-t", "ext2", "-b", "1024"}},
                      Variant{"ext4_csum", {"-t", "ext4", "-b", "1024"}}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace viewsh

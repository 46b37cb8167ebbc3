#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <random>

#include "ext_fixture.h"

namespace viewsh {
namespace {

/// Random operations on an image and on a native directory: the same results, and the same tree.
class ExtModel : public ExtTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void start(unsigned seed, const std::vector<std::string>& options) {
    random_.seed(seed);
    native_ = path("native");
    ::umask(0);
    ASSERT_EQ(::mkdir(native_.c_str(), 0755), 0);
    file_ = make("image", 64, options);
    image_ = open(file_);
    ASSERT_TRUE(image_.image);
    dirs_ = {""};
  }

  uint64_t pick(uint64_t below) { return random_() % below; }
  std::string name() {
    const uint64_t n = pick(12);
    return n < 10 ? "n" + std::to_string(n) : std::string(n == 10 ? 200 : 37, 'l');
  }
  std::string directory() {
    // A directory that may be gone by now.
    return dirs_[pick(dirs_.size())];
  }
  static std::string join(const std::string& a, const std::string& b) {
    return a.empty() ? b : a + "/" + b;
  }
  NodeId node(const std::string& where) { return at(image_.image.get(), where); }
  std::string host(const std::string& where) const { return native_ + "/" + where; }
  static int error(int rc) { return rc < 0 ? errno : 0; }

  bool is_directory(const std::string& where) {
    struct stat st;
    return ::lstat(host(where).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  }

  void step();
  void step_make(const std::string& dir, const std::string& name);
  void step_remove(const std::string& dir, const std::string& name);
  void step_rename(const std::string& dir, const std::string& name);
  void step_write(const std::string& where);
  void step_space(const std::string& where);
  void step_attr(const std::string& where);
  void step_held(const std::string& dir, const std::string& name);
  void finish();

  void same(int ours, int native, const std::string& what) {
    what_ = what;
    // EEXIST and ENOTEMPTY mean the same; so do both orders of checking.
    if (ours == EEXIST) ours = ENOTEMPTY;
    if (native == EEXIST) native = ENOTEMPTY;
    ASSERT_EQ(ours, native) << what << " at step " << steps_;
  }

  std::mt19937 random_;
  std::string native_;
  std::string file_;
  Opened image_;
  std::vector<std::string> dirs_;
  unsigned steps_ = 0;
  std::string what_;
};

void ExtModel::step_make(const std::string& dir, const std::string& name) {
  const NodeId parent = node(dir);
  const std::string native = host(join(dir, name));
  WritableImage::NewNode how = file_node(0644);
  how.uid = ::getuid();
  switch (pick(5)) {
    case 0:
      same(image_->mkdir(parent, name, how).error().value(),
           error(::mkdir(native.c_str(), 0644 | 0111)), "mkdir " + native);
      if (struct stat st; ::lstat(native.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
        SetAttr mode;
        mode.mode = 0755;
        same(image_->setattr(node(join(dir, name)), mode).error().value(),
             error(::chmod(native.c_str(), 0755)), "chmod");
        if (dirs_.size() < 40) dirs_.push_back(join(dir, name));
      }
      break;
    case 1: {
      const std::string target(1 + pick(2) * 55 + pick(900), 's');
      same(image_->symlink(parent, name, target, how).error().value(),
           error(::symlink(target.c_str(), native.c_str())), "symlink");
      break;
    }
    case 2: {
      const std::string from = join(directory(), this->name());
      const NodeId old = node(from);
      if (old == 0) break;
      same(image_->link(old, parent, name).error().value(),
           error(::link(host(from).c_str(), native.c_str())), "link " + from + " " + native);
      break;
    }
    default: {
      const int fd = ::open(native.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
      same(image_->mknod(parent, name, how).error().value(), error(fd), "mknod");
      if (fd >= 0) ::close(fd);
    }
  }
}

void ExtModel::step_remove(const std::string& dir, const std::string& name) {
  const std::string native = host(join(dir, name));
  if (pick(2) == 0) {
    same(image_->unlink(node(dir), name).error().value(), error(::unlink(native.c_str())),
         "unlink " + native);
  } else {
    same(image_->rmdir(node(dir), name).error().value(), error(::rmdir(native.c_str())),
         "rmdir " + native);
  }
}

void ExtModel::step_rename(const std::string& dir, const std::string& name) {
  const std::string to_dir = directory();
  if (!is_directory(to_dir)) return;
  const std::string to = this->name();
  const unsigned flags = pick(4) == 0 ? RENAME_EXCHANGE : pick(4) == 0 ? RENAME_NOREPLACE : 0;
  const auto ours = image_->rename(node(dir), name, node(to_dir), to, flags);
  const int native = error(::renameat2(AT_FDCWD, host(join(dir, name)).c_str(), AT_FDCWD,
                                       host(join(to_dir, to)).c_str(), flags));
  // The native call also sees that a directory can't be moved over one that holds it.
  if (native == ENOTEMPTY && ours.error() == EISDIR) return;
  same(ours.error().value(), native,
       "rename " + join(dir, name) + " " + join(to_dir, to) + " " + std::to_string(flags));
}

void ExtModel::step_write(const std::string& where) {
  const NodeId id = node(where);
  const int fd = ::open(host(where).c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  if (id == 0 || fd < 0 || ::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    if (fd >= 0) ::close(fd);
    return;
  }
  const uint64_t offset = pick(3) == 0 ? pick(3000000) : pick(20000);
  const std::string bytes = pattern(1 + pick(pick(4) == 0 ? 200000 : 5000), random_());
  what_ = "write " + where + " " + std::to_string(offset) + " " + std::to_string(bytes.size());
  const auto put = image_->pwrite(id, bytes.data(), bytes.size(), offset);
  ASSERT_TRUE(put && *put == bytes.size()) << put.error().message();
  ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

void ExtModel::step_space(const std::string& where) {
  const NodeId id = node(where);
  const int fd = ::open(host(where).c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  if (id == 0 || fd < 0 || ::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    if (fd >= 0) ::close(fd);
    return;
  }
  const uint64_t offset = pick(100000);
  const uint64_t size = 1 + pick(pick(3) == 0 ? 1000000 : 9000);
  int mode = 0;
  switch (pick(5)) {
    case 0:
      mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      break;
    case 1:
      mode = FALLOC_FL_ZERO_RANGE | (pick(2) ? FALLOC_FL_KEEP_SIZE : 0);
      break;
    case 2:
      mode = pick(2) ? FALLOC_FL_KEEP_SIZE : 0;
      break;
    default: {
      SetAttr set;
      set.size = offset;
      same(image_->setattr(id, set).error().value(),
           error(::ftruncate(fd, static_cast<off_t>(offset))),
           "truncate " + where + " " + std::to_string(offset));
      ::close(fd);
      return;
    }
  }
  const auto ours = image_->fallocate(id, mode, offset, size);
  if (ours.error() != EOPNOTSUPP) {
    same(ours.error().value(),
         error(::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size))),
         "fallocate " + where + " " + std::to_string(mode) + " " + std::to_string(offset) + " " +
             std::to_string(size));
  }
  ::close(fd);
}

void ExtModel::step_attr(const std::string& where) {
  const NodeId id = node(where);
  if (id == 0) return;
  struct stat st;
  if (::lstat(host(where).c_str(), &st) != 0 || S_ISLNK(st.st_mode)) return;
  const std::string name = "user.a" + std::to_string(pick(4));
  const std::string value = pattern(pick(200), random_());  // four fit into a block
  switch (pick(3)) {
    case 0: {
      SetAttr set;
      set.mode = 0600 | static_cast<mode_t>(pick(0100));
      if (S_ISDIR(st.st_mode)) *set.mode |= 0700;
      same(image_->setattr(id, set).error().value(), error(::chmod(host(where).c_str(), *set.mode)),
           "chmod");
      break;
    }
    case 1:
      if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) break;
      same(image_->setxattr(id, name, value, 0).error().value(),
           error(::setxattr(host(where).c_str(), name.c_str(), value.data(), value.size(), 0)),
           "setxattr");
      break;
    default:
      if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) break;
      same(image_->removexattr(id, name).error().value(),
           error(::removexattr(host(where).c_str(), name.c_str())), "removexattr");
  }
}

/// A file that loses its name while it is held, is written and read, and goes.
void ExtModel::step_held(const std::string& dir, const std::string& name) {
  const std::string where = join(dir, name);
  const NodeId id = node(where);
  struct stat st;
  if (id == 0 || ::lstat(host(where).c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  if (st.st_nlink != 1) return;
  ASSERT_TRUE(image_->hold(id));
  ASSERT_TRUE(image_->unlink(node(dir), name));
  ASSERT_EQ(::unlink(host(where).c_str()), 0);
  const std::string bytes = pattern(5000, random_());
  const auto put = image_->pwrite(id, bytes.data(), bytes.size(), 1000);
  ASSERT_TRUE(put);
  std::string read(5000, '\0');
  ASSERT_TRUE(image_->pread(id, read.data(), read.size(), 1000));
  ASSERT_EQ(read, bytes);
  if (pick(2) == 0) {
    ASSERT_TRUE(image_->sync());
  }
  ASSERT_TRUE(image_->release(id));
}

void ExtModel::step() {
  ++steps_;
  const std::string dir = directory();
  if (!is_directory(dir)) return;
  const std::string name = this->name();
  switch (pick(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return step_make(dir, name);
    case 5:
    case 6:
      return step_remove(dir, name);
    case 7:
    case 8:
      return step_rename(dir, name);
    case 9:
    case 10:
    case 11:
      return step_write(join(dir, name));
    case 12:
      return step_space(join(dir, name));
    case 13:
      return step_attr(join(dir, name));
    case 14:
      return step_held(dir, name);
    default:
      if (pick(10) == 0) {
        ASSERT_TRUE(image_->sync());
      }
  }
}

void ExtModel::finish() {
  expect_same_tree(image_.image.get(), image_->root(), native_);
  close(&image_, file_);
  image_ = open(file_);
  ASSERT_TRUE(image_.image);
  expect_same_tree(image_.image.get(), image_->root(), native_);
  close(&image_, file_);
}

TEST_P(ExtModel, RandomOperations) {
  std::vector<std::string> options = {"-t", "ext4"};
  const std::string variant = GetParam();
  if (variant == "ext2") options = {"-t", "ext2", "-b", "1024"};
  if (variant == "ext3") options = {"-t", "ext3"};
  if (variant == "inline") options = {"-t", "ext4", "-b", "1024", "-O", "inline_data"};
  if (variant == "nocsum") options = {"-t", "ext4", "-O", "^metadata_csum,^has_journal"};
  const char* more = ::getenv("VIEWSH_EXT_STEPS");
  const int steps = more != nullptr ? std::atoi(more) : 3000;
  start(17, options);
  const bool careful = ::getenv("VIEWSH_EXT_CAREFUL") != nullptr;
  for (int i = 0; i < steps && !HasFailure(); ++i) {
    step();
    if (careful) expect_same_tree(image_.image.get(), image_->root(), native_);
    if (HasFailure()) ADD_FAILURE() << "step " << i << ": " << what_;
  }
  if (!HasFailure()) finish();
}

INSTANTIATE_TEST_SUITE_P(All, ExtModel,
                         ::testing::Values("ext4", "ext3", "ext2", "inline", "nocsum"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace viewsh

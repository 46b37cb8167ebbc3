// Random operations through a server on one directory and natively on another: the same results,
// and the same trees. VIEWSH_MODEL_STEPS and VIEWSH_MODEL_SEED say how many and which.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "fuse_fixture.h"

namespace viewsh {
namespace {

unsigned number_from(const char* variable, unsigned usual) {
  const char* text = getenv(variable);
  return text == nullptr ? usual : static_cast<unsigned>(strtoul(text, nullptr, 10));
}

class FuseModel : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string program = fuse_test_program("fuse_mirror");
    if (::access(program.c_str(), X_OK) != 0) GTEST_SKIP() << "no fuse_mirror (libfuse3-dev)";
    std::filesystem::create_directory(source_);
    std::filesystem::create_directory(native_);
    ::umask(0);
    FuseProgram::Spec spec;
    spec.argv = {program, source_, "{}", "-f"};
    if (std::string(GetParam()) == "uncached") spec.env = {"MIRROR_NO_CACHE=1"};
    if (std::string(GetParam()) == "lacking") {
      spec.env = {"MIRROR_LACKS=create,flush,fsync,fallocate,lseek,access"};
    }
    program_ = FuseProgram::start(spec);
    ASSERT_TRUE(program_);
    random_.seed(number_from("VIEWSH_MODEL_SEED", 7));
  }

  FuseImage& image() { return program_->image(); }
  uint64_t pick(uint64_t below) { return random_() % below; }
  std::string name() { return "n" + std::to_string(pick(8)); }
  std::string directory() { return dirs_[pick(dirs_.size())]; }
  static std::string join(const std::string& a, const std::string& b) {
    return a.empty() ? b : a + "/" + b;
  }
  std::string host(const std::string& where) const { return native_ + "/" + where; }
  /// 0: there is none.
  NodeId node(const std::string& where) {
    NodeId at = FUSE_ROOT_ID;
    for (const auto& part : std::filesystem::path(where)) {
      const auto next = image().lookup(at, part.string());
      if (!next) return 0;
      at = *next;
    }
    return at;
  }
  static int error(int rc) { return rc < 0 ? errno : 0; }
  void same(Errno ours, int native, const std::string& what) {
    int mine = ours.value();
    // EEXIST and ENOTEMPTY mean the same here.
    if (mine == EEXIST) mine = ENOTEMPTY;
    if (native == EEXIST) native = ENOTEMPTY;
    ASSERT_EQ(mine, native) << what << " at step " << step_;
  }

  void make(NodeId parent, const std::string& dir, const std::string& name);
  void remove(NodeId parent, const std::string& dir, const std::string& name);
  void rename(NodeId parent, const std::string& dir, const std::string& name);
  void write(const std::string& where);
  void change(const std::string& where);
  void held(NodeId parent, const std::string& dir, const std::string& name);
  void step();
  void compare(NodeId ours, const std::filesystem::path& native);
  std::string text() { return std::string(1 + pick(9000), static_cast<char>('a' + pick(26))); }

  FuseDirectory directory_;
  std::string source_ = directory_.path() + "/source";
  std::string native_ = directory_.path() + "/native";
  std::unique_ptr<FuseProgram> program_;
  std::mt19937 random_;
  std::vector<std::string> dirs_ = {""};
  unsigned step_ = 0;
};

void FuseModel::make(NodeId parent, const std::string& dir, const std::string& name) {
  const std::string there = host(join(dir, name));
  WritableImage::NewNode how = {S_IFREG | 0644, ::getuid(), ::getgid(), 0};
  switch (pick(4)) {
    case 0: {
      const int native = error(::mkdir(there.c_str(), 0755));
      how.mode = S_IFDIR | 0755;
      same(image().mkdir(parent, name, how).error(), native, "mkdir " + there);
      if (native == 0 && dirs_.size() < 30) dirs_.push_back(join(dir, name));
      return;
    }
    case 1:
      same(image().symlink(parent, name, "target", how).error(),
           error(::symlink("target", there.c_str())), "symlink " + there);
      return;
    case 2: {
      const std::string from = join(directory(), this->name());
      const NodeId old = node(from);
      if (old == 0) return;
      same(image().link(old, parent, name).error(),
           error(::link(host(from).c_str(), there.c_str())), "link " + from + " " + there);
      return;
    }
    default: {
      const int fd = ::open(there.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
      const int native = error(fd);
      const auto made = image().mknod(parent, name, how);
      same(made.error(), native, "create " + there);
      if (made) image().closed(*made);
      if (fd >= 0) ::close(fd);
    }
  }
}

void FuseModel::remove(NodeId parent, const std::string& dir, const std::string& name) {
  const std::string there = host(join(dir, name));
  if (pick(2) == 0) {
    same(image().unlink(parent, name).error(), error(::unlink(there.c_str())), "unlink " + there);
  } else {
    same(image().rmdir(parent, name).error(), error(::rmdir(there.c_str())), "rmdir " + there);
  }
}

void FuseModel::rename(NodeId parent, const std::string& dir, const std::string& name) {
  const std::string to_dir = directory();
  const std::string to = this->name();
  const NodeId to_parent = node(to_dir);
  struct stat st;
  if (to_parent == 0 || ::lstat(host(to_dir).c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return;
  constexpr unsigned kFlags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  const unsigned flags = kFlags[pick(4)];
  const std::string from_host = host(join(dir, name));
  const std::string to_host = host(join(to_dir, to));
  same(image().rename(parent, name, to_parent, to, flags).error(),
       error(::renameat2(AT_FDCWD, from_host.c_str(), AT_FDCWD, to_host.c_str(), flags)),
       "rename " + from_host + " " + to_host + " " + std::to_string(flags));
}

void FuseModel::write(const std::string& where) {
  const NodeId at = node(where);
  struct stat st;
  if (at == 0 || ::lstat(host(where).c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  const std::string data = text();
  const uint64_t offset = pick(3) * 5000;
  const auto done = image().pwrite(at, data.data(), data.size(), offset);
  ASSERT_TRUE(done) << where << " " << done.error().message();
  ASSERT_EQ(*done, data.size());
  const UniqueFd fd(::open(host(where).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(data.size()));
  std::string ours(20'000, '\0');
  std::string native(20'000, '\0');
  const auto got = image().pread(at, ours.data(), ours.size(), pick(2) * 3000);
  ASSERT_TRUE(got);
  ASSERT_EQ(image().getattr(at)->stx_size, static_cast<uint64_t>(::lseek(fd.get(), 0, SEEK_END)));
}

void FuseModel::change(const std::string& where) {
  const NodeId at = node(where);
  struct stat st;
  if (at == 0 || ::lstat(host(where).c_str(), &st) != 0 || S_ISLNK(st.st_mode)) return;
  SetAttr set;
  if (pick(2) == 0) {
    set.mode = 0600 | (S_ISDIR(st.st_mode) ? 0100 : 0) | (pick(8) << 3);
    same(image().setattr(at, set).error(), error(::chmod(host(where).c_str(), *set.mode)), "chmod");
  } else {
    set.size = pick(20'000);
    same(image().setattr(at, set).error(),
         error(::truncate(host(where).c_str(), static_cast<off_t>(*set.size))), "truncate");
  }
}

/// A file that loses its name while it is held.
void FuseModel::held(NodeId parent, const std::string& dir, const std::string& name) {
  const std::string there = host(join(dir, name));
  struct stat st;
  if (::lstat(there.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  const NodeId at = node(join(dir, name));
  ASSERT_NE(at, 0u);
  const UniqueFd fd(::open(there.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(image().hold(at));
  ASSERT_TRUE(image().unlink(parent, name));
  ASSERT_EQ(::unlink(there.c_str()), 0);
  const std::string data = text();
  // There may be another link.
  ASSERT_TRUE(image().pwrite(at, data.data(), data.size(), 0));
  ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
  std::string back(data.size(), '\0');
  ASSERT_EQ(*image().pread(at, back.data(), back.size(), 0), data.size());
  ASSERT_EQ(back, data);
  ASSERT_TRUE(image().release(at));
  // Its last name in the server's directory goes with a request that nobody waits for.
  ASSERT_TRUE(image().statfs());
}

void FuseModel::step() {
  const std::string dir = directory();
  const std::string name = this->name();
  const NodeId parent = node(dir);
  struct stat st;
  const bool native = ::lstat(host(dir).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  if (parent == 0 || !native || !S_ISDIR(image().getattr(parent)->stx_mode)) {
    ASSERT_FALSE(native && parent == 0) << dir;
    return;
  }
  switch (pick(8)) {
    case 0:
    case 1:
    case 2:
      return make(parent, dir, name);
    case 3:
      return remove(parent, dir, name);
    case 4:
      return rename(parent, dir, name);
    case 5:
      return write(join(dir, name));
    case 6:
      return change(join(dir, name));
    default:
      if (pick(4) == 0) held(parent, dir, name);
  }
}

void FuseModel::compare(NodeId ours, const std::filesystem::path& native) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(native)) {
    names.push_back(entry.path().filename());
  }
  std::vector<std::string> got;
  const auto listed = image().list(ours);
  ASSERT_TRUE(listed);
  for (const DirEntry& entry : *listed) got.push_back(entry.name);
  std::sort(names.begin(), names.end());
  std::sort(got.begin(), got.end());
  ASSERT_EQ(got, names) << native;
  for (const std::string& each : names) {
    const auto at = image().lookup(ours, each);
    ASSERT_TRUE(at) << native / each;
    const auto attr = image().getattr(*at);
    struct stat st;
    ASSERT_EQ(::lstat((native / each).c_str(), &st), 0);
    ASSERT_EQ(attr->stx_mode, st.st_mode) << native / each;
    if (!S_ISDIR(st.st_mode)) {
      ASSERT_EQ(attr->stx_nlink, st.st_nlink) << native / each;
    }
    if (S_ISDIR(st.st_mode)) {
      compare(*at, native / each);
    } else if (S_ISREG(st.st_mode)) {
      std::ifstream in(native / each, std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(in), {}};
      std::string text(content.size() + 10, '\0');
      const auto size = image().pread(*at, text.data(), text.size(), 0);
      ASSERT_TRUE(size) << size.error().message();
      text.resize(*size);
      ASSERT_TRUE(text == content) << native / each;
    } else {
      ASSERT_EQ(*image().readlink(*at), std::filesystem::read_symlink(native / each));
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(FuseModel, DoesWhatADirectoryDoes) {
  const unsigned steps = number_from("VIEWSH_MODEL_STEPS", 2500);
  for (step_ = 0; step_ < steps; ++step_) {
    step();
    if (HasFatalFailure()) return;
    // The numbers of nodes that nobody uses go now and then.
    if (step_ % 500 == 499) image().forget_but(3);
  }
  compare(FUSE_ROOT_ID, native_);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(image().channel().refused(), 0u);
  EXPECT_TRUE(program_->close());
}

INSTANTIATE_TEST_SUITE_P(Kinds, FuseModel, ::testing::Values("cached", "uncached", "lacking"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace viewsh

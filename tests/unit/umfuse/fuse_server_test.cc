// FuseImage with real servers: libfuse3 over the descriptor it is given as its mount point,
// libfuse3 and libfuse2 as they open /dev/fuse and mount.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "fuse_fixture.h"

namespace viewsh {
namespace {

using Made = WritableImage::NewNode;

struct Kind {
  const char* name;
  const char* program;  ///< fuse_mirror or bindfs
  bool shim;
  std::vector<std::string> options;
  std::vector<std::string> env;
  uint32_t minor = 38;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class FuseServers : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    const Kind& kind = GetParam();
    const std::string program = kind.program;
    std::string path = fuse_test_program(program);
    if (program != "fuse_mirror") path = "/usr/bin/" + program;
    if (::access(path.c_str(), X_OK) != 0) {
      GTEST_SKIP() << path << " is missing" << (program == "fuse_mirror" ? " (libfuse3-dev)" : "");
    }
    std::filesystem::create_directory(source_);
    std::filesystem::create_directory(mount_);
    FuseProgram::Spec spec;
    spec.argv = {path, "-f"};
    for (const std::string& option : kind.options) spec.argv.push_back(option);
    spec.argv.insert(spec.argv.begin() + 1, {source_, kind.shim ? mount_ : "{}"});
    spec.env = kind.env;
    spec.shim = kind.shim;
    FuseOptions options;
    options.minor = kind.minor;
    program_ = FuseProgram::start(spec, options);
    ASSERT_TRUE(program_);
  }
  void TearDown() override {
    if (!program_) return;
    EXPECT_TRUE(program_->close());
    EXPECT_EQ(program_->image().channel().refused(), 0u);
  }
  FuseImage& image() { return program_->image(); }
  static Made file(mode_t mode = 0644) { return {S_IFREG | mode, ::getuid(), ::getgid(), 0}; }
  static Made directory() { return {S_IFDIR | 0755, ::getuid(), ::getgid(), 0}; }
  NodeId make(const std::string& name) {
    const auto made = image().mknod(FUSE_ROOT_ID, name, file());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : 0;
  }
  NodeId make_directory(NodeId parent, const std::string& name) {
    const auto made = image().mkdir(parent, name, directory());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : 0;
  }
  std::string native(const std::string& name) const { return source_ + "/" + name; }
  std::string content(const std::string& name) const {
    std::ifstream in(native(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_native(const std::string& name, const std::string& text) const {
    std::ofstream(native(name), std::ios::binary) << text;
  }
  std::string read(NodeId node, size_t size, uint64_t offset) {
    std::string out(size, '\0');
    const auto got = image().pread(node, out.data(), size, offset);
    EXPECT_TRUE(got) << got.error().message();
    out.resize(got ? *got : 0);
    return out;
  }
  Result<void> write(NodeId node, const std::string& text, uint64_t offset) {
    TRY_ASSIGN(const size_t done, image().pwrite(node, text.data(), text.size(), offset));
    EXPECT_EQ(done, text.size());
    return {};
  }
  std::string extracted(NodeId node, struct stat* st = nullptr) {
    const std::string to = directory_.path() + "/extracted";
    const int fd = ::open(to.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const auto done = image().extract(node, fd);
    EXPECT_TRUE(done) << done.error().message();
    struct stat is = {};
    ::fstat(fd, &is);
    if (st != nullptr) *st = is;
    std::string text(static_cast<size_t>(std::min<off_t>(is.st_size, 64 << 20)), '\0');
    EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(fd);
    return text;
  }

  FuseDirectory directory_;
  std::string source_ = directory_.path() + "/source";
  std::string mount_ = directory_.path() + "/mount";
  std::unique_ptr<FuseProgram> program_;
};

TEST_P(FuseServers, AgreesOnAVersion) {
  ASSERT_TRUE(image().ready());
  const FuseSession& session = image().session();
  EXPECT_LE(session.minor(), GetParam().minor);
  EXPECT_GE(session.minor(), std::min(GetParam().minor, 12u));
  EXPECT_LE(session.max_write(), 128u << 10);
  EXPECT_GE(session.max_write(), 4096u);
}

TEST_P(FuseServers, LooksUpAndTellsAttributes) {
  write_native("file", "hello");
  ::mkdir(native("dir").c_str(), 0750);
  ASSERT_EQ(::symlink("a/target", native("link").c_str()), 0);
  const auto node = image().lookup(FUSE_ROOT_ID, "file");
  ASSERT_TRUE(node) << node.error().message();
  const auto attr = image().getattr(*node);
  ASSERT_TRUE(attr);
  struct stat st;
  ASSERT_EQ(::stat(native("file").c_str(), &st), 0);
  EXPECT_EQ(attr->stx_size, 5u);
  EXPECT_EQ(attr->stx_mode, st.st_mode);
  EXPECT_EQ(attr->stx_uid, st.st_uid);
  EXPECT_EQ(attr->stx_mtime.tv_sec, st.st_mtim.tv_sec);
  const auto link = image().lookup(FUSE_ROOT_ID, "link");
  ASSERT_TRUE(link);
  EXPECT_EQ(*image().readlink(*link), "a/target");
  EXPECT_EQ(image().readlink(*node).error(), EINVAL);
  EXPECT_EQ(image().lookup(FUSE_ROOT_ID, "none").error(), ENOENT);
  EXPECT_EQ(image().lookup(*node, "x").error(), ENOTDIR);
  EXPECT_EQ(image().lookup(FUSE_ROOT_ID, "..").error(), ENOENT);
}

TEST_P(FuseServers, ListsEachNameOnce) {
  std::vector<std::string> names;
  constexpr int kMany = 1000;
  for (int i = 0; i < kMany; ++i) {
    names.push_back("name-that-is-not-short-" + std::to_string(i));
    write_native(names.back(), "");
  }
  names.push_back("sub");
  ::mkdir(native("sub").c_str(), 0755);
  const auto listed = image().list(FUSE_ROOT_ID);
  ASSERT_TRUE(listed) << listed.error().message();
  std::vector<std::string> got;
  for (const DirEntry& entry : *listed) {
    got.push_back(entry.name);
    EXPECT_EQ(entry.type, entry.name == "sub" ? NodeType::kDirectory : NodeType::kRegular);
  }
  std::sort(names.begin(), names.end());
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, names);
}

TEST_P(FuseServers, MakesRemovesAndRenames) {
  const auto dir = image().mkdir(FUSE_ROOT_ID, "d", directory());
  ASSERT_TRUE(dir) << dir.error().message();
  const auto file_node = image().mknod(*dir, "f", file(0640));
  ASSERT_TRUE(file_node) << file_node.error().message();
  struct stat st;
  ASSERT_EQ(::stat(native("d/f").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFREG | 0640u);
  EXPECT_EQ(image().mknod(*dir, "f", file()).error(), EEXIST);
  EXPECT_EQ(image().mkdir(FUSE_ROOT_ID, "d", directory()).error(), EEXIST);
  ASSERT_TRUE(image().mknod(*dir, "fifo", {S_IFIFO | 0600, ::getuid(), ::getgid(), 0}));
  EXPECT_EQ(::stat(native("d/fifo").c_str(), &st), 0);
  EXPECT_TRUE(S_ISFIFO(st.st_mode));
  ASSERT_TRUE(image().symlink(*dir, "l", "to", file()));
  ASSERT_TRUE(image().link(*file_node, FUSE_ROOT_ID, "hard"));
  ASSERT_EQ(::stat(native("hard").c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, 2u);
  EXPECT_EQ(image().getattr(*image().lookup(FUSE_ROOT_ID, "hard"))->stx_nlink, 2u);
  EXPECT_EQ(image().rmdir(FUSE_ROOT_ID, "d").error(), ENOTEMPTY);
  EXPECT_EQ(image().unlink(FUSE_ROOT_ID, "d").error(), EISDIR);
  EXPECT_EQ(image().rmdir(*dir, "f").error(), ENOTDIR);
  ASSERT_TRUE(image().rename(*dir, "f", FUSE_ROOT_ID, "g", 0));
  EXPECT_EQ(image().lookup(*dir, "f").error(), ENOENT);
  EXPECT_TRUE(image().lookup(FUSE_ROOT_ID, "g"));
  ASSERT_TRUE(image().unlink(FUSE_ROOT_ID, "g"));
  EXPECT_EQ(image().lookup(FUSE_ROOT_ID, "g").error(), ENOENT);
  ASSERT_TRUE(image().unlink(*dir, "l"));
  ASSERT_TRUE(image().unlink(*dir, "fifo"));
  ASSERT_TRUE(image().rmdir(FUSE_ROOT_ID, "d"));
  EXPECT_NE(::stat(native("d").c_str(), &st), 0);
}

TEST_P(FuseServers, RefusesADirectoryIntoItself) {
  const NodeId a = make_directory(FUSE_ROOT_ID, "a");
  const NodeId b = make_directory(a, "b");
  const NodeId c = make_directory(b, "c");
  EXPECT_EQ(image().rename(FUSE_ROOT_ID, "a", c, "d", 0).error(), EINVAL);
  EXPECT_EQ(image().rename(FUSE_ROOT_ID, "a", a, "d", 0).error(), EINVAL);
  EXPECT_EQ(image().rename(b, "c", FUSE_ROOT_ID, "a", 0).error(), ENOTEMPTY);
  EXPECT_EQ(image().rename(a, "b", FUSE_ROOT_ID, "a", RENAME_EXCHANGE).error(), EINVAL);
  ASSERT_TRUE(image().rename(a, "b", FUSE_ROOT_ID, "b", 0));
  ASSERT_TRUE(image().rename(FUSE_ROOT_ID, "a", c, "d", 0));
  EXPECT_EQ(image().lookup(c, "d").value(), a);
  EXPECT_EQ(image().rename(FUSE_ROOT_ID, "b", a, "e", 0).error(), EINVAL);
}

TEST_P(FuseServers, RenamesWithFlags) {
  make("a");
  make("b");
  EXPECT_EQ(image().rename(FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b", RENAME_NOREPLACE).error(), EEXIST);
  ASSERT_TRUE(image().ready());
  if (image().session().minor() < 23) {
    EXPECT_EQ(image().rename(FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b", RENAME_EXCHANGE).error(),
              EINVAL);
    return;
  }
  write_native("a", "first");
  const auto done = image().rename(FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b", RENAME_EXCHANGE);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(content("b"), "first");
  EXPECT_EQ(image().rename(FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "c", RENAME_EXCHANGE).error(), ENOENT);
}

TEST_P(FuseServers, ReadsAndWrites) {
  const NodeId node = make("f");
  std::string text;
  for (int i = 0; text.size() < 700'001; ++i) text += std::to_string(i) + " ";
  ASSERT_TRUE(write(node, text, 0));
  EXPECT_TRUE(content("f") == text);
  EXPECT_EQ(image().getattr(node)->stx_size, text.size());
  EXPECT_TRUE(read(node, text.size() + 1000, 0) == text);
  EXPECT_EQ(read(node, 100, 300'000), text.substr(300'000, 100));
  EXPECT_EQ(read(node, 100, text.size()), "");
  EXPECT_TRUE(extracted(node) == text);
  ASSERT_TRUE(write(node, "X", 5));
  EXPECT_EQ(content("f")[5], 'X');
  EXPECT_TRUE(image().sync());
}

TEST_P(FuseServers, KeepsHoles) {
  write_native("sparse", "begin");
  constexpr off_t kSize = 40 << 20;
  ASSERT_EQ(::truncate(native("sparse").c_str(), kSize), 0);
  {
    const int fd = ::open(native("sparse").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(fd, "end", 3, kSize - 3), 3);
    ::close(fd);
  }
  struct stat st;
  const std::string text = extracted(*image().lookup(FUSE_ROOT_ID, "sparse"), &st);
  EXPECT_EQ(st.st_size, kSize);
  EXPECT_LT(st.st_blocks * 512, 1 << 20);
  EXPECT_EQ(text.substr(0, 5), "begin");
  EXPECT_EQ(text.substr(text.size() - 3), "end");
}

TEST_P(FuseServers, AHeldFileOutlivesItsName) {
  const NodeId node = make("f");
  ASSERT_TRUE(write(node, "before", 0));
  ASSERT_TRUE(image().hold(node));
  ASSERT_TRUE(image().hold(node));
  ASSERT_TRUE(image().unlink(FUSE_ROOT_ID, "f"));
  EXPECT_EQ(image().lookup(FUSE_ROOT_ID, "f").error(), ENOENT);
  EXPECT_EQ(read(node, 10, 0), "before");
  ASSERT_TRUE(write(node, "after!!", 0));
  EXPECT_EQ(read(node, 10, 0), "after!!");
  const auto attr = image().getattr(node);
  ASSERT_TRUE(attr) << attr.error().message();
  EXPECT_EQ(attr->stx_size, 7u);
  SetAttr set;
  set.size = 2;
  ASSERT_TRUE(image().setattr(node, set));
  EXPECT_EQ(read(node, 10, 0), "af");
  ASSERT_TRUE(image().release(node));
  EXPECT_EQ(read(node, 10, 0), "af");
  ASSERT_TRUE(image().release(node));
  // The name that libfuse gave it meanwhile goes with the release, which nobody waits for.
  for (int i = 0; i < 200 && !image().list(FUSE_ROOT_ID)->empty(); ++i) ::usleep(10'000);
  EXPECT_TRUE(image().list(FUSE_ROOT_ID)->empty());
}

TEST_P(FuseServers, ChangesAttributes) {
  const NodeId node = make("f");
  SetAttr set;
  set.mode = 0600;
  set.size = 1234;
  set.atime = timespec{1'000'000'000, 5};
  set.mtime = timespec{1'100'000'000, 6};
  ASSERT_TRUE(image().setattr(node, set));
  struct stat st;
  ASSERT_EQ(::stat(native("f").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(st.st_size, 1234);
  EXPECT_EQ(st.st_atim.tv_sec, 1'000'000'000);
  EXPECT_EQ(st.st_mtim.tv_sec, 1'100'000'000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 6);
  // libfuse2 has ears for both times only.
  SetAttr now;
  now.atime = timespec{0, UTIME_NOW};
  now.mtime = timespec{0, UTIME_NOW};
  ASSERT_TRUE(image().setattr(node, now));
  ASSERT_EQ(::stat(native("f").c_str(), &st), 0);
  EXPECT_GT(st.st_mtim.tv_sec, 1'600'000'000);
  EXPECT_GT(st.st_atim.tv_sec, 1'600'000'000);
  EXPECT_EQ(image().getattr(node)->stx_size, 1234u);
}

TEST_P(FuseServers, HasExtendedAttributes) {
  const NodeId node = make("f");
  if (::setxattr(native("f").c_str(), "user.probe", "1", 1, 0) != 0) {
    GTEST_SKIP() << "no user xattrs in " << source_;
  }
  EXPECT_EQ(*image().getxattr(node, "user.probe"), "1");
  const auto set = image().setxattr(node, "user.name", std::string_view("va\0lue", 6), 0);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(*image().getxattr(node, "user.name"), std::string("va\0lue", 6));
  EXPECT_EQ(image().setxattr(node, "user.name", "x", XATTR_CREATE).error(), EEXIST);
  auto names = *image().listxattr(node);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"user.name", "user.probe"}));
  ASSERT_TRUE(image().removexattr(node, "user.name"));
  EXPECT_EQ(image().getxattr(node, "user.name").error(), ENODATA);
}

TEST_P(FuseServers, TellsOfTheFileSystem) {
  const auto st = image().statfs();
  ASSERT_TRUE(st) << st.error().message();
  EXPECT_GT(st->f_blocks, 0u);
  EXPECT_GT(st->f_namelen, 100);
}

TEST_P(FuseServers, AllocatesAndSeeks) {
  const NodeId node = make("f");
  const auto done = image().fallocate(node, 0, 0, 1 << 20);
  if (!done) {
    EXPECT_EQ(done.error(), EOPNOTSUPP);
    return;
  }
  EXPECT_EQ(image().getattr(node)->stx_size, 1u << 20);
  ASSERT_TRUE(write(node, "data", 500'000));
  const auto data = image().seek(node, 0, SEEK_DATA);
  if (!data) {
    EXPECT_EQ(data.error(), EOPNOTSUPP);
    return;
  }
  EXPECT_LE(*data, 500'000u);
  EXPECT_EQ(image().seek(node, 2 << 20, SEEK_DATA).error(), ENXIO);
}

TEST_P(FuseServers, AServerThatDiesIsNotConnected) {
  make("f");
  program_->kill(SIGKILL);
  while (program_->running()) ::usleep(1000);
  EXPECT_EQ(image().mknod(FUSE_ROOT_ID, "g", file()).error(), ENOTCONN);
  EXPECT_EQ(image().list(FUSE_ROOT_ID).error(), ENOTCONN);
  EXPECT_EQ(image().statfs().error(), ENOTCONN);
  EXPECT_FALSE(image().close());
  program_.reset();
}

const std::vector<Kind> kinds = {
    {"mirror", "fuse_mirror", false, {}, {}},
    {"single", "fuse_mirror", false, {"-s"}, {}},
    {"uncached", "fuse_mirror", false, {}, {"MIRROR_NO_CACHE=1"}},
    {"direct", "fuse_mirror", false, {}, {"MIRROR_DIRECT_IO=1"}},
    {"lacking",
     "fuse_mirror",
     false,
     {},
     {"MIRROR_LACKS=create,flush,fsync,fallocate,lseek,access"}},
    {"buffers", "fuse_mirror", false, {}, {"MIRROR_BUFFERS=1"}},
    {"splice", "fuse_mirror", true, {}, {"MIRROR_BUFFERS=1", "MIRROR_SPLICE=1"}},
    {"old31", "fuse_mirror", false, {}, {}, 31},
    {"old23", "fuse_mirror", false, {}, {}, 23},
    {"old12", "fuse_mirror", false, {}, {}, 12},
    {"old8", "fuse_mirror", false, {}, {}, 8},
    {"clone", "fuse_mirror", true, {"-o", "clone_fd"}, {}},
    {"libfuse2", "bindfs", true, {}, {}},
    {"libfuse2multi", "bindfs", true, {"--multithreaded"}, {}},
};

INSTANTIATE_TEST_SUITE_P(Kinds, FuseServers, ::testing::ValuesIn(kinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace viewsh

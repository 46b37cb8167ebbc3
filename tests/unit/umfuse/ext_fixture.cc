#include "ext_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <random>

extern char** environ;

namespace viewsh {

Ran run(const std::vector<std::string>& words) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  pid_t pid = -1;
  const int rc = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ran ran;
  std::array<char, 4096> part;
  for (ssize_t got; (got = ::read(ends[0], part.data(), part.size())) > 0;) {
    ran.output.append(part.data(), static_cast<size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  if (rc == 0 && ::waitpid(pid, &status, 0) == pid && WIFEXITED(status)) {
    ran.status = WEXITSTATUS(status);
  }
  return ran;
}

ExtTest::ExtTest() {
  const char* base = ::getenv("TMPDIR");
  root_ = std::string(base != nullptr ? base : "/tmp") + "/viewsh-ext-XXXXXX";
  if (::mkdtemp(root_.data()) == nullptr) ADD_FAILURE() << "no temporary directory";
  const char* path = ::getenv("PATH");
  const std::string all = path != nullptr ? path : "/usr/bin:/bin";
  if (all.find("/usr/sbin") == std::string::npos) {
    ::setenv("PATH", (all + ":/usr/sbin:/sbin").c_str(), 1);
  }
}

void ExtTest::SetUp() {
  if (run({"mke2fs", "-V"}).status != 0) GTEST_SKIP() << "SKIP: there is no mke2fs";
}

ExtTest::~ExtTest() { run({"rm", "-rf", root_}); }

std::string ExtTest::make(const std::string& name, unsigned megabytes,
                          const std::vector<std::string>& options) {
  const std::string file = path(name);
  ::unlink(file.c_str());
  std::vector<std::string> words = {"mke2fs", "-q", "-F"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(file);
  words.push_back(std::to_string(megabytes) + "M");
  const Ran ran = run(words);
  EXPECT_EQ(ran.status, 0) << ran.output;
  return file;
}

ExtTest::Opened ExtTest::open(const std::string& file, ExtOptions options) {
  Opened opened;
  opened.fd.reset(::open(file.c_str(), (options.ro ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  auto image = ExtImage::open(opened.fd.get(), options, &opened.why);
  EXPECT_TRUE(image) << opened.why << " " << image.error().message();
  if (image) opened.image = std::move(*image);
  return opened;
}

void ExtTest::close(Opened* opened, const std::string& file) {
  ASSERT_TRUE(opened->image);
  const auto closed = opened->image->close();
  EXPECT_TRUE(closed) << closed.error().message();
  opened->image.reset();
  opened->fd.reset();
  expect_clean(file);
}

void ExtTest::expect_clean(const std::string& file) {
  const Ran ran = run({"e2fsck", "-fn", file});
  EXPECT_EQ(ran.status, 0) << ran.output;
}

void ExtTest::expect_repairable(const std::string& file) {
  const Ran ran = run({"e2fsck", "-fy", file});
  EXPECT_TRUE(ran.status == 0 || ran.status == 1) << ran.output;
  expect_clean(file);
}

WritableImage::NewNode ExtTest::file_node(mode_t mode) {
  WritableImage::NewNode node;
  node.mode = S_IFREG | mode;
  node.uid = 1000;
  node.gid = 70000;
  return node;
}

NodeId ExtTest::put(ExtImage* image, NodeId directory, const std::string& name,
                    const std::string& content) {
  const auto node = image->mknod(directory, name, file_node());
  EXPECT_TRUE(node) << name << ": " << node.error().message();
  if (!node) return 0;
  if (content.empty()) return *node;
  const auto put = image->pwrite(*node, content.data(), content.size(), 0);
  EXPECT_TRUE(put && *put == content.size()) << name << ": " << put.error().message();
  return *node;
}

std::string ExtTest::get(ExtImage* image, NodeId node) {
  const auto attr = image->getattr(node);
  EXPECT_TRUE(attr) << attr.error().message();
  if (!attr) return "";
  std::string content(attr->stx_size, '\0');
  const auto got = image->pread(node, content.data(), content.size(), 0);
  EXPECT_TRUE(got && *got == content.size()) << got.error().message();
  return content;
}

NodeId ExtTest::at(ExtImage* image, const std::string& path) {
  NodeId node = image->root();
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const auto next = image->lookup(node, path.substr(start, end - start));
    if (!next) return 0;
    node = *next;
    start = end + 1;
  }
  return node;
}

std::string pattern(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t value = random();
    std::copy_n(reinterpret_cast<const char*>(&value), std::min<size_t>(8, size - i), &bytes[i]);
  }
  return bytes;
}

namespace {

std::string native_content(const std::string& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  std::string content(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}

void expect_same_attributes(ExtImage* image, NodeId node, const std::string& native) {
  std::map<std::string, std::string> there;
  std::string list(4096, '\0');
  const ssize_t size = ::llistxattr(native.c_str(), list.data(), list.size());
  for (size_t at = 0; size > 0 && at < static_cast<size_t>(size);) {
    const std::string name = &list[at];
    at += name.size() + 1;
    if (name.rfind("user.", 0) != 0) continue;
    std::string value(4096, '\0');
    const ssize_t got = ::lgetxattr(native.c_str(), name.c_str(), value.data(), value.size());
    if (got >= 0) there[name] = value.substr(0, static_cast<size_t>(got));
  }
  const auto names = image->listxattr(node);
  ASSERT_TRUE(names) << native << ": " << names.error().message();
  EXPECT_EQ(names->size(), there.size()) << native;
  for (const std::string& name : *names) {
    const auto value = image->getxattr(node, name);
    ASSERT_TRUE(value) << native << " " << name << ": " << value.error().message();
    EXPECT_TRUE(there.count(name) == 1 && there[name] == *value) << native << " " << name;
  }
}

void expect_same_node(ExtImage* image, NodeId node, const std::string& native) {
  struct stat st;
  ASSERT_EQ(::lstat(native.c_str(), &st), 0) << native;
  const auto attr = image->getattr(node);
  ASSERT_TRUE(attr) << native << ": " << attr.error().message();
  EXPECT_EQ(attr->stx_mode, st.st_mode) << native;
  if (!S_ISDIR(st.st_mode)) {
    EXPECT_EQ(attr->stx_size, static_cast<uint64_t>(st.st_size)) << native;
  }
  EXPECT_EQ(attr->stx_nlink, st.st_nlink) << native;
  expect_same_attributes(image, node, native);
  if (S_ISREG(st.st_mode)) {
    std::string content(attr->stx_size, '\0');
    const auto got = image->pread(node, content.data(), content.size(), 0);
    ASSERT_TRUE(got) << native << ": " << got.error().message();
    EXPECT_TRUE(content == native_content(native)) << native;
  } else if (S_ISLNK(st.st_mode)) {
    std::string target(static_cast<size_t>(st.st_size), '\0');
    EXPECT_EQ(::readlink(native.c_str(), target.data(), target.size()), st.st_size);
    const auto got = image->readlink(node);
    ASSERT_TRUE(got) << native << ": " << got.error().message();
    EXPECT_EQ(*got, target);
  }
}

}  // namespace

void expect_same_tree(ExtImage* image, NodeId directory, const std::string& native) {
  const auto names = image->list(directory);
  ASSERT_TRUE(names) << native << ": " << names.error().message();
  std::map<std::string, NodeId> shown;
  for (const DirEntry& entry : *names) {
    if (entry.name == "lost+found") continue;
    EXPECT_TRUE(shown.emplace(entry.name, entry.ino).second) << entry.name;
  }
  DIR* dir = ::opendir(native.c_str());
  ASSERT_NE(dir, nullptr) << native;
  size_t count = 0;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    ++count;
    const auto it = shown.find(name);
    EXPECT_NE(it, shown.end()) << native << "/" << name << " is missing";
    if (it == shown.end()) continue;
    const auto looked = image->lookup(directory, name);
    EXPECT_TRUE(looked && *looked == it->second) << name;
    expect_same_node(image, it->second, native + "/" + name);
    if (entry->d_type == DT_DIR) expect_same_tree(image, it->second, native + "/" + name);
  }
  ::closedir(dir);
  EXPECT_EQ(count, shown.size()) << native;
}

}  // namespace viewsh

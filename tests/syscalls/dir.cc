// getdents64, seekdir, telldir, rewinddir: stable while the directory changes, whatever its size.

#include <dirent.h>

#include <algorithm>
#include <map>
#include <set>

#include "support.h"

namespace viewsh_test {
namespace {

using Dir = SyscallTest;

struct Entry {
  uint64_t inode;
  int64_t offset;
  unsigned char type;
  std::string name;
};

/// One getdents64 into `size` bytes; false at the end.
bool read_some(int fd, size_t size, std::vector<Entry>* entries) {
  std::vector<char> buffer(size + 64, '\x5a');
  long n = sys(SYS_getdents64, fd, buffer.data(), size);
  EXPECT_GE(n, 0);
  for (size_t i = size; i < buffer.size(); ++i) EXPECT_EQ(buffer[i], '\x5a');
  for (long at = 0; at < n;) {
    const char* record = buffer.data() + at;
    Entry entry;
    uint16_t length = 0;
    std::memcpy(&entry.inode, record, 8);
    std::memcpy(&entry.offset, record + 8, 8);
    std::memcpy(&length, record + 16, 2);
    entry.type = static_cast<unsigned char>(record[18]);
    entry.name = record + 19;
    EXPECT_EQ(length % 8, 0);
    EXPECT_GE(length, 19 + entry.name.size() + 1);
    entries->push_back(entry);
    at += length;
  }
  return n > 0;
}

std::vector<Entry> read_all(int fd, size_t size = 32768) {
  std::vector<Entry> entries;
  while (read_some(fd, size, &entries)) {
  }
  return entries;
}

std::multiset<std::string> names(const std::vector<Entry>& entries) {
  std::multiset<std::string> result;
  for (const Entry& entry : entries) result.insert(entry.name);
  return result;
}

std::string name_of(int i) { return "file" + std::to_string(i); }

void make_files(int count) {
  for (int i = 0; i < count; ++i) write_file(name_of(i), "");
}

TEST_F(Dir, EntriesSayWhatTheyAre) {
  write_file("file", "");
  ASSERT_EQ(::mkdir("sub", 0755), 0);
  ASSERT_EQ(::symlink("x", "link"), 0);
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  std::map<std::string, Entry> found;
  for (const Entry& entry : read_all(fd.get())) found[entry.name] = entry;
  ASSERT_EQ(found.size(), 6U);
  std::map<std::string, unsigned char> types = {{"file", DT_REG}, {"sub", DT_DIR},
                                                {"link", DT_LNK}, {"fifo", DT_FIFO},
                                                {".", DT_DIR},    {"..", DT_DIR}};
  for (const auto& [name, type] : types) {
    unsigned char seen = found[name].type;
    EXPECT_TRUE(seen == type || seen == DT_UNKNOWN) << name;
    if (name != "..") {
      EXPECT_EQ(found[name].inode, lstat_of(name).st_ino) << name;
    }
  }
}

TEST_F(Dir, SmallBuffersGiveAllOnce) {
  make_files(100);
  for (size_t size : {size_t{48}, size_t{64}, size_t{100}, size_t{1000}, size_t{100000}}) {
    Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
    std::multiset<std::string> seen = names(read_all(fd.get(), size));
    EXPECT_EQ(seen.size(), 102U) << size;
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 102U) << size;
  }
}

TEST_F(Dir, TooSmallABuffer) {
  write_file(std::string(200, 'n'), "");
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  std::array<char, 64> buffer;
  EXPECT_EQ(sys(SYS_getdents64, fd.get(), buffer.data(), 8), -EINVAL);
  Fd file = open_fd(std::string(200, 'n'), O_RDONLY);
  EXPECT_EQ(sys(SYS_getdents64, file.get(), buffer.data(), buffer.size()), -ENOTDIR);
  EXPECT_EQ(sys(SYS_getdents64, 9999, buffer.data(), buffer.size()), -EBADF);
}

TEST_F(Dir, OldGetdents) {
  make_files(3);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  std::array<char, 4096> buffer;
  long n = sys(SYS_getdents, fd.get(), buffer.data(), buffer.size());
  ASSERT_GT(n, 0);
  std::set<std::string> seen;
  for (long at = 0; at < n;) {
    uint16_t length = 0;
    std::memcpy(&length, buffer.data() + at + 16, 2);
    seen.insert(buffer.data() + at + 18);
    at += length;
  }
  EXPECT_EQ(seen, (std::set<std::string>{".", "..", "file0", "file1", "file2"}));
}

TEST_F(Dir, DeletingWhileReadingSkipsNothing) {
  constexpr int kCount = 500;
  make_files(kCount);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  int removed = 0;
  for (;;) {
    std::vector<Entry> some;
    if (!read_some(fd.get(), 256, &some)) break;
    for (const Entry& entry : some) {
      if (entry.name == "." || entry.name == "..") continue;
      EXPECT_EQ(::unlink(entry.name.c_str()), 0) << entry.name;
      ++removed;
    }
  }
  EXPECT_EQ(removed, kCount);
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

TEST_F(Dir, RenamingWhileReadingShowsWhatStayedOnce) {
  constexpr int kCount = 300;
  make_files(kCount);
  ASSERT_EQ(::mkdir("../renamed_here", 0755), 0);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  std::multiset<std::string> seen;
  int step = 0;
  for (;;) {
    std::vector<Entry> some;
    if (!read_some(fd.get(), 512, &some)) break;
    for (const Entry& entry : some) seen.insert(entry.name);
    // New names come and go meanwhile; those that were there all the time come exactly once.
    std::string name = "extra" + std::to_string(step++);
    write_file(name, "");
    if (step % 2 != 0) continue;
    ASSERT_EQ(::unlink(name.c_str()), 0);
  }
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(seen.count(name_of(i)), 1U) << name_of(i);
  ASSERT_EQ(::rmdir("../renamed_here"), 0);
}

TEST_F(Dir, SeekGoesBackToWhereTellWas) {
  make_files(200);
  DIR* dir = ::opendir(".");
  ASSERT_NE(dir, nullptr);
  std::vector<long> places;
  std::vector<std::string> order;
  for (;;) {
    long place = ::telldir(dir);
    dirent* entry = ::readdir(dir);
    if (entry == nullptr) break;
    places.push_back(place);
    order.emplace_back(entry->d_name);
  }
  ASSERT_EQ(order.size(), 202U);
  for (size_t i : {size_t{150}, size_t{3}, size_t{77}, size_t{201}, size_t{0}}) {
    ::seekdir(dir, places[i]);
    for (size_t k = i; k < std::min(i + 4, order.size()); ++k) {
      dirent* entry = ::readdir(dir);
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->d_name, order[k]);
    }
  }
  ::closedir(dir);
}

TEST_F(Dir, RewindSeesNewNames) {
  make_files(10);
  DIR* dir = ::opendir(".");
  ASSERT_NE(dir, nullptr);
  int count = 0;
  while (::readdir(dir) != nullptr) ++count;
  EXPECT_EQ(count, 12);
  write_file("later", "");
  ASSERT_EQ(::unlink("file3"), 0);
  ::rewinddir(dir);
  std::set<std::string> seen;
  while (dirent* entry = ::readdir(dir)) seen.insert(entry->d_name);
  EXPECT_EQ(seen.size(), 12U);
  EXPECT_EQ(seen.count("later"), 1U);
  EXPECT_EQ(seen.count("file3"), 0U);
  ::closedir(dir);
}

TEST_F(Dir, BigDirectory) {
  constexpr int kCount = 5000;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(sys(SYS_mknod, name_of(i).c_str(), S_IFREG | 0644, 0), 0);
  }
  EXPECT_EQ(names_in(".").size(), size_t{kCount});
  for (int i = 0; i < kCount; i += 2) ASSERT_EQ(::unlink(name_of(i).c_str()), 0);
  std::vector<std::string> left = names_in(".");
  EXPECT_EQ(left.size(), size_t{kCount / 2});
  for (int i = 1; i < kCount; i += 2) ASSERT_EQ(::unlink(name_of(i).c_str()), 0);
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

TEST_F(Dir, TwoReadersOfOneDescription) {
  make_files(50);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  Fd copy(::dup(fd.get()));
  std::vector<Entry> all;
  bool more = true;
  while (more) {
    more = read_some(fd.get(), 128, &all);
    if (more) more = read_some(copy.get(), 128, &all);
  }
  EXPECT_EQ(names(all).size(), 52U);
  EXPECT_EQ(::lseek(copy.get(), 0, SEEK_SET), 0);
  EXPECT_EQ(read_all(fd.get()).size(), 52U);
}

TEST_F(Dir, RemovedDirectoryIsEmpty) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  Fd fd = open_fd("d", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::rmdir("d"), 0);
  std::array<char, 1024> buffer;
  EXPECT_EQ(sys(SYS_getdents64, fd.get(), buffer.data(), buffer.size()), -ENOENT);
}

TEST_F(Dir, RemovedDirectoriesHaveNothing) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::mkdir("e", 0755), 0);
  ASSERT_EQ(::mkdir("e/sub", 0755), 0);
  Fd open = open_fd("d", O_RDONLY | O_DIRECTORY);
  Fd path = open_fd("d", O_PATH | O_DIRECTORY);
  ASSERT_EQ(::chdir("d"), 0);
  std::array<char, 4096> buffer = {};
  ASSERT_EQ(::rename("../e", "../d"), 0);  // takes its place
  EXPECT_EQ(sys(SYS_getdents64, open.get(), buffer.data(), buffer.size()), -ENOENT);
  EXPECT_EQ(sys(SYS_openat, open.get(), "sub", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys(SYS_openat, path.get(), "sub", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys(SYS_open, "sub", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys(SYS_mkdir, "new", 0755), -ENOENT);
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), buffer.size()), -ENOENT);
  struct stat st;
  ASSERT_EQ(::fstat(open.get(), &st), 0);
  EXPECT_EQ(st.st_nlink, 0U);
  ASSERT_EQ(::chdir(dir().c_str()), 0);
  EXPECT_EQ(names_in("d"), std::vector<std::string>{"sub"});
}

TEST_F(Dir, ClosedDirectoriesAreClosed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "text");
  Fd open = open_fd("d", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::chmod("d", 0), 0);
  std::array<char, 4096> buffer = {};
  EXPECT_EQ(sys(SYS_open, "d", O_RDONLY | O_DIRECTORY), -EACCES);
  EXPECT_EQ(sys(SYS_open, "d/f", O_RDONLY), -EACCES);
  EXPECT_EQ(sys(SYS_access, "d", R_OK), -EACCES);
  EXPECT_EQ(sys(SYS_access, "d/f", F_OK), -EACCES);
  EXPECT_EQ(sys(SYS_chdir, "d"), -EACCES);
  EXPECT_EQ(sys(SYS_fchdir, open.get()), -EACCES);
  EXPECT_EQ(sys(SYS_unlink, "d/f"), -EACCES);
  EXPECT_EQ(sys(SYS_openat, open.get(), "f", O_RDONLY), -EACCES);
  EXPECT_GT(sys(SYS_getdents64, open.get(), buffer.data(), buffer.size()), 0);  // it is open
  ASSERT_EQ(::chmod("d", 0444), 0);
  EXPECT_EQ(names_in("d"), std::vector<std::string>{"f"});
  EXPECT_EQ(sys(SYS_chdir, "d"), -EACCES);
  ASSERT_EQ(::chmod("d", 0111), 0);
  EXPECT_EQ(sys(SYS_open, "d", O_RDONLY | O_DIRECTORY), -EACCES);
  EXPECT_EQ(sys(SYS_chdir, "d"), 0);
  EXPECT_EQ(read_file("f"), "text");
  ASSERT_EQ(::chdir(".."), 0);
  ASSERT_EQ(::chmod("d", 0755), 0);
}

TEST_F(Dir, SystemDirectoriesHaveNoDoubles) {
  for (const char* path : {"/", "/etc", "/usr", "/dev"}) {
    Fd fd = open_fd(path, O_RDONLY | O_DIRECTORY);
    std::multiset<std::string> seen = names(read_all(fd.get(), 4096));
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size()) << path;
    EXPECT_EQ(seen.count("."), 1U) << path;
  }
}

}  // namespace
}  // namespace viewsh_test

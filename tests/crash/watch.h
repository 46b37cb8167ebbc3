#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>

/// What calls.cc tells of the calls that were made, and asks before. Paths are as the calls have
/// them; errno is left as it is, but where a call is refused.
namespace viewsh::crash::watch {

bool watching();
/// The name is there.
bool there(int dir, const char* path);
/// The disk is full (recorder::fail_from): errno is set.
bool refused(int dir, const char* path);
/// There are no hard links, no extended attributes here (recorder::be_plain): errno is set.
bool no_links(int dir, const char* path);
bool no_xattrs(const char* path);
/// There is another mount between the two (recorder::be_apart): errno is set.
bool apart(int a, const char* from, int b, const char* to);
/// So many bytes may be written; 0: none, errno is set.
size_t writable(int fd, size_t size);
/// A descriptor that was opened; `program`: by the program in the view, not by the code under test.
void own(int fd, bool program);

void made(int dir, const char* path);
void linked(int dir, const char* path);
void removed(int dir, const char* path);
void wrote(int fd, const void* data, size_t size, off_t at);  ///< at < 0: where the file stands
void reread(int fd);
void truncated(int fd, uint64_t size);
void synced(int fd);
void synced_all();
void attr(int dir, const char* path, bool follow);

/// A rename: where the names are, as long as they are there.
class Renaming {
 public:
  Renaming(int a, const char* from, int b, const char* to, bool exchange);
  void done() const;

 private:
  int a_, b_;
  std::string from_, to_;
  bool exchange_;
};

/// Replaces inode numbers and times of change.
void show(struct stat* out);
void show(struct statx* out);
void show(int dir_fd, dirent* entry);

}  // namespace viewsh::crash::watch

#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive_image.h"

namespace viewsh {

/// An entry for an archive of a test.
struct MadeEntry {
  std::string path;
  mode_t mode = S_IFREG | 0644;
  std::string content = "";  ///< of a file; the target of a symbolic link
  std::string link = "";     ///< of a hard link: its target
  uid_t uid = 1000;
  time_t mtime = 1'000'000'000;
  long nanoseconds = 0;
  std::map<std::string, std::string> xattrs = {};
};

inline MadeEntry made_dir(const std::string& path, mode_t mode = 0755) {
  return {.path = path, .mode = S_IFDIR | mode};
}
inline MadeEntry made_file(const std::string& path, const std::string& content) {
  return {.path = path, .content = content};
}
inline MadeEntry made_symlink(const std::string& path, const std::string& target) {
  return {.path = path, .mode = S_IFLNK | 0777, .content = target};
}
inline MadeEntry made_link(const std::string& path, const std::string& target) {
  return {.path = path, .link = target};
}

/// The bytes of an archive that libarchive writes; `format` and `filter` as bsdtar(1) names them.
std::string make_archive(const std::string& format, const std::string& filter,
                         const std::vector<MadeEntry>& entries);
/// A RAR 4 of files that are not compressed, which libarchive can't write.
std::string make_rar(const std::vector<MadeEntry>& entries);

/// A file without a name with these bytes.
UniqueFd file_with(const std::string& bytes);

/// Opens bytes as an image; null where it is refused, the reason in `error` if that is given.
std::unique_ptr<Image> open_bytes(const std::string& bytes, const std::string& type,
                                  std::string* error = nullptr,
                                  std::map<std::string, std::string> options = {});
/// The same, with what an ArchiveImage alone tells.
std::unique_ptr<ArchiveImage> open_archive(const std::string& bytes, const std::string& type,
                                           uint64_t keep_limit = uint64_t{1} << 30);

/// The number of a path; 0: it isn't there.
NodeId number_of(Image& image, std::string_view path);
/// The content of a file, or "error N".
std::string content_of(Image& image, NodeId node);
inline std::string content_of(Image& image, std::string_view path) {
  return content_of(image, number_of(image, path));
}
/// Every path below a directory with its type letter, sorted: "d a", "f a/b".
std::vector<std::string> tree_of(Image& image);

}  // namespace viewsh

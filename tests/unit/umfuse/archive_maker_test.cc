// Makes the archives of the other tests.
#include "archive_maker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include <algorithm>

namespace viewsh {
namespace {

std::string temp_dir() {
  const char* base = getenv("TMPDIR");
  return base != nullptr ? base : "/tmp";
}

la_ssize_t append(archive*, void* to, const void* bytes, size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

void add_entry(archive* a, const MadeEntry& made) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, made.path.c_str());
  archive_entry_set_mode(entry, made.mode);
  archive_entry_set_uid(entry, made.uid);
  archive_entry_set_gid(entry, made.uid);
  archive_entry_set_mtime(entry, made.mtime, made.nanoseconds);
  if (!made.link.empty()) archive_entry_set_hardlink(entry, made.link.c_str());
  if (S_ISLNK(made.mode)) archive_entry_set_symlink(entry, made.content.c_str());
  if (S_ISCHR(made.mode)) archive_entry_set_rdev(entry, makedev(1, 3));
  const bool data = S_ISREG(made.mode) && made.link.empty();
  archive_entry_set_size(entry, data ? static_cast<la_int64_t>(made.content.size()) : 0);
  for (const auto& [name, value] : made.xattrs) {
    archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
  }
  EXPECT_GE(archive_write_header(a, entry), ARCHIVE_WARN) << archive_error_string(a);
  if (data) archive_write_data(a, made.content.data(), made.content.size());
  archive_entry_free(entry);
}

uint32_t crc32_of(const std::string& bytes) {
  uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1U) ^ (0xedb88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

void put(std::string* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to->push_back(static_cast<char>(value >> (8 * i)));
}

/// With its checksum in front.
std::string rar_block(const std::string& body) {
  std::string out;
  put(&out, crc32_of(body) & 0xffffU, 2);
  return out + body;
}

}  // namespace

std::string make_archive(const std::string& format, const std::string& filter,
                         const std::vector<MadeEntry>& entries) {
  std::string bytes;
  archive* a = archive_write_new();
  EXPECT_EQ(archive_write_set_format_by_name(a, format.c_str()), ARCHIVE_OK);
  if (!filter.empty()) {
    EXPECT_EQ(archive_write_add_filter_by_name(a, filter.c_str()), ARCHIVE_OK);
  }
  if (format == "pax") archive_write_set_options(a, "hdrcharset=BINARY");
  archive_write_set_bytes_in_last_block(a, 1);
  EXPECT_EQ(archive_write_open(a, &bytes, nullptr, append, nullptr), ARCHIVE_OK);
  for (const MadeEntry& entry : entries) add_entry(a, entry);
  EXPECT_EQ(archive_write_close(a), ARCHIVE_OK) << archive_error_string(a);
  archive_write_free(a);
  return bytes;
}

/// As the technote of RAR 4.x has it.
std::string make_rar(const std::vector<MadeEntry>& entries) {
  std::string out("Rar!\x1a\x07\x00", 7);
  std::string body;
  put(&body, 0x73, 1);
  put(&body, 0, 2);
  put(&body, 13, 2);
  put(&body, 0, 6);
  out += rar_block(body);
  for (const MadeEntry& entry : entries) {
    body.clear();
    put(&body, 0x74, 1);
    put(&body, 0x8000 | (S_ISDIR(entry.mode) ? 0xe0 : 0), 2);
    put(&body, 32 + entry.path.size(), 2);
    put(&body, entry.content.size(), 4);
    put(&body, entry.content.size(), 4);
    put(&body, 3, 1);  // Unix
    put(&body, crc32_of(entry.content), 4);
    put(&body, 0x2a210000, 4);
    put(&body, 20, 1);
    put(&body, 0x30, 1);  // stored
    put(&body, entry.path.size(), 2);
    put(&body, entry.mode, 4);
    out += rar_block(body + entry.path) + entry.content;
  }
  body.clear();
  put(&body, 0x7b, 1);
  put(&body, 0x4000, 2);
  put(&body, 7, 2);
  return out + rar_block(body);
}

UniqueFd file_with(const std::string& bytes) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return fd;
}

namespace {

std::shared_ptr<const ImageSource> source_of(const std::string& bytes) {
  auto source = ImageSource::open(file_with(bytes), 0, 0);
  EXPECT_TRUE(source.ok());
  return std::make_shared<ImageSource>(std::move(*source));
}

}  // namespace

std::unique_ptr<Image> open_bytes(const std::string& bytes, const std::string& type,
                                  std::string* error, std::map<std::string, std::string> options) {
  ImageRequest request;
  request.type = type;
  request.options = std::move(options);
  request.scratch = []() -> Result<std::string> { return temp_dir(); };
  MountError failed;
  auto image = open_image(source_of(bytes), request, &failed);
  if (image == nullptr && error != nullptr) *error = failed.text;
  return image;
}

std::unique_ptr<ArchiveImage> open_archive(const std::string& bytes, const std::string& type,
                                           uint64_t keep_limit) {
  MountError error;
  auto source = source_of(bytes);
  auto index = read_archive_index(*source, type, {}, &error);
  if (index == nullptr) return nullptr;
  return std::make_unique<ArchiveImage>(
      source, std::move(index), []() -> Result<std::string> { return temp_dir(); }, keep_limit);
}

NodeId number_of(Image& image, std::string_view path) {
  NodeId node = image.root();
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const auto next = image.lookup(node, path.substr(0, end));
    if (!next) return 0;
    node = *next;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return node;
}

std::string content_of(Image& image, NodeId node) {
  UniqueFd fd(memfd_create("content", MFD_CLOEXEC));
  const auto done = image.extract(node, fd.get());
  if (!done) return "error " + std::to_string(done.error().value());
  std::string out(static_cast<size_t>(lseek(fd.get(), 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(fd.get(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
  return out;
}

namespace {

void walk(Image& image, NodeId dir, const std::string& prefix, std::vector<std::string>* out) {
  const auto entries = image.list(dir);
  ASSERT_TRUE(entries.ok());
  for (const DirEntry& entry : *entries) {
    const auto attr = image.getattr(entry.ino);
    ASSERT_TRUE(attr.ok());
    EXPECT_EQ(type_of_mode(attr->stx_mode), entry.type);
    const char* letter = S_ISDIR(attr->stx_mode) ? "d " : S_ISLNK(attr->stx_mode) ? "l " : "f ";
    out->push_back(letter + prefix + entry.name);
    if (S_ISDIR(attr->stx_mode)) walk(image, entry.ino, prefix + entry.name + "/", out);
  }
}

}  // namespace

std::vector<std::string> tree_of(Image& image) {
  std::vector<std::string> out;
  walk(image, image.root(), "", &out);
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.substr(2) < b.substr(2); });
  return out;
}

}  // namespace viewsh

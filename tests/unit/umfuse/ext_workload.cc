#include "ext_workload.h"

#include <sys/stat.h>

namespace viewsh {
namespace {

constexpr unsigned kDirectories = 6;

NodeId directory_of(ExtImage* image, const std::string& path) {
  const auto found = image->lookup(image->root(), path.substr(0, path.find('/')));
  EXPECT_TRUE(found) << path;
  return found ? *found : 0;
}

std::string name_of(const std::string& path) { return path.substr(path.find('/') + 1); }

NodeId node_of(ExtImage* image, const std::string& path) {
  const auto found = image->lookup(directory_of(image, path), name_of(path));
  EXPECT_TRUE(found) << path << ": " << found.error().message();
  return found ? *found : 0;
}

void write(ExtImage* image, NodeId node, const std::string& bytes, uint64_t offset) {
  if (bytes.empty()) return;
  const auto put = image->pwrite(node, bytes.data(), bytes.size(), offset);
  EXPECT_TRUE(put && *put == bytes.size()) << put.error().message();
}

}  // namespace

void ExtWorkload::prepare(ExtImage* image) {
  for (unsigned i = 0; i < kDirectories && image != nullptr; ++i) {
    WritableImage::NewNode node;
    node.mode = 0755;
    EXPECT_TRUE(image->mkdir(image->root(), "d" + std::to_string(i), node));
  }
  if (image != nullptr) {
    EXPECT_TRUE(image->sync());
  }
}

std::string ExtWorkload::new_name() {
  const unsigned directory = static_cast<unsigned>(random_() % kDirectories);
  return "d" + std::to_string(directory) + "/file_number_" + std::to_string(names_++);
}

std::string ExtWorkload::some_file() {
  if (files_.empty()) return "";
  auto it = files_.begin();
  std::advance(it, random_() % files_.size());
  return it->first;
}

void ExtWorkload::create(ExtImage* image) {
  const std::string path = new_name();
  const std::string content = pattern(random_() % 30000, random_());
  touched_ = {path};
  files_[path] = content;
  if (image == nullptr) return;
  WritableImage::NewNode node;
  node.mode = S_IFREG | 0644;
  const auto made = image->mknod(directory_of(image, path), name_of(path), node);
  ASSERT_TRUE(made) << made.error().message();
  write(image, *made, content, 0);
}

void ExtWorkload::change(ExtImage* image) {
  const std::string path = some_file();
  const std::string bytes = pattern(random_() % 9000, random_());
  const uint64_t offset = random_() % 40000;
  if (path.empty() || bytes.empty()) return;
  touched_ = {path};
  std::string& content = files_[path];
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
  if (image != nullptr) write(image, node_of(image, path), bytes, offset);
}

void ExtWorkload::rename(ExtImage* image) {
  const std::string from = some_file();
  const std::string to = random_() % 2 ? new_name() : some_file();
  if (from.empty() || from == to) return;
  touched_ = {from, to};
  files_[to] = files_[from];
  files_.erase(from);
  if (image == nullptr) return;
  EXPECT_TRUE(image->rename(directory_of(image, from), name_of(from), directory_of(image, to),
                            name_of(to), 0));
}

void ExtWorkload::remove(ExtImage* image) {
  const std::string path = some_file();
  if (path.empty()) return;
  touched_ = {path};
  files_.erase(path);
  if (image == nullptr) return;
  EXPECT_TRUE(image->unlink(directory_of(image, path), name_of(path)));
}

bool ExtWorkload::step(ExtImage* image) {
  touched_.clear();
  const unsigned what = static_cast<unsigned>(random_() % 20);
  if (what < 8) {
    create(image);
  } else if (what < 12) {
    change(image);
  } else if (what < 15) {
    rename(image);
  } else if (what < 18 || files_.size() > 150) {
    remove(image);
  } else if (what == 18) {
    if (image != nullptr) {
      EXPECT_TRUE(image->sync());
    }
    return true;
  }
  return false;
}

void expect_files(ExtImage* image, const ExtWorkload::Files& files,
                  const std::set<std::string>& except) {
  for (const auto& [path, content] : files) {
    if (except.count(path) != 0) continue;
    const NodeId node = node_of(image, path);
    if (node == 0) continue;
    std::string read(content.size() + 1, '\0');
    const auto got = image->pread(node, read.data(), read.size(), 0);
    ASSERT_TRUE(got) << path << ": " << got.error().message();
    EXPECT_EQ(*got, content.size()) << path;
    read.resize(*got);
    EXPECT_TRUE(read == content) << path;
  }
}

}  // namespace viewsh

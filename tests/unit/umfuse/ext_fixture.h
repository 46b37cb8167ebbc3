#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "ext_image.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// What a command said and how it ended.
struct Ran {
  int status = -1;
  std::string output;
};
Ran run(const std::vector<std::string>& words);

/// A directory of its own under $TMPDIR, with images made by mke2fs(8).
class ExtTest : public ::testing::Test {
 protected:
  ExtTest();
  ~ExtTest() override;
  void SetUp() override;

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  /// A new image of `megabytes`; `options` go to mke2fs.
  std::string make(const std::string& name, unsigned megabytes,
                   const std::vector<std::string>& options = {});
  /// Opens and closes descriptor and image together.
  struct Opened {
    UniqueFd fd;
    std::unique_ptr<ExtImage> image;
    std::string why;
    ExtImage* operator->() const { return image.get(); }
  };
  static Opened open(const std::string& file, ExtOptions options = {});
  /// Closes it, and e2fsck -fn has nothing to say.
  static void close(Opened* opened, const std::string& file);
  static void expect_clean(const std::string& file);
  /// e2fsck -fy repairs it, and then it's clean.
  static void expect_repairable(const std::string& file);

  static WritableImage::NewNode file_node(mode_t mode = 0644);
  static NodeId put(ExtImage* image, NodeId directory, const std::string& name,
                    const std::string& content);
  static std::string get(ExtImage* image, NodeId node);
  /// The node at a path of the image; 0: none.
  static NodeId at(ExtImage* image, const std::string& path);

 private:
  std::string root_;
};

/// Bytes that differ from file to file.
std::string pattern(size_t size, uint64_t seed);
/// The same tree below both: names, types, modes, contents, links, times.
void expect_same_tree(ExtImage* image, NodeId directory, const std::string& native);

}  // namespace viewsh

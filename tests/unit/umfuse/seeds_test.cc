// What the fuzzers begin with and what they found, each once: tests/fuzz/seeds.
#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz.h"

namespace viewsh {
namespace {

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> files;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return files;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') files.push_back(directory + "/" + entry->d_name);
  }
  ::closedir(dir);
  return files;
}

void run_seeds(const std::string& kind, void (*one)(const uint8_t*, size_t)) {
  constexpr unsigned kLongest = 20;  // seconds
  const auto files = files_in(VIEWSH_FUZZ_SEEDS "/" + kind);
  EXPECT_GT(files.size(), 1U);
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    // Where it crashes or hangs, this is the last line.
    fprintf(stderr, "%s\n", file.c_str());
    ::alarm(kLongest);
    one(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ::alarm(0);
  }
}

TEST(FuzzSeeds, Ext) { run_seeds("ext", ext_fuzz_one); }
TEST(FuzzSeeds, Iso) { run_seeds("iso", iso_fuzz_one); }
TEST(FuzzSeeds, Archive) { run_seeds("archive", archive_fuzz_one); }
TEST(FuzzSeeds, Fuse) { run_seeds("fuse", fuse_fuzz_one); }

}  // namespace
}  // namespace viewsh

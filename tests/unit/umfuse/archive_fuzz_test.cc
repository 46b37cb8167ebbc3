// Damaged archives: whatever their bytes say, opening, listing and unpacking end, and crash
// nothing.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "archive_maker.h"

namespace viewsh {
namespace {

std::vector<MadeEntry> small_sample() {
  return {made_dir("d"),          made_file("d/one", "first"),      made_file("two", "2222222222"),
          made_symlink("l", "d"), made_file("d/e/three", "333333"), made_file("last", "l")};
}

/// Looks at everything and unpacks all of it; nothing is expected but that it ends.
void use_all(Image& image, NodeId dir, int depth) {
  constexpr int kDeepest = 64;
  const auto entries = image.list(dir);
  if (!entries || depth > kDeepest) return;
  for (const DirEntry& entry : *entries) {
    EXPECT_FALSE(entry.name.empty() || entry.name == "." || entry.name == "..");
    EXPECT_EQ(entry.name.find('/'), std::string::npos);
    const auto attr = image.getattr(entry.ino);
    if (!attr) continue;
    (void)image.readlink(entry.ino);
    (void)image.listxattr(entry.ino);
    // A hole of any size is no work, but a file of it on disk might be.
    constexpr uint64_t kBiggest = 1 << 26;
    if (S_ISREG(attr->stx_mode) && attr->stx_size < kBiggest) (void)content_of(image, entry.ino);
    if (S_ISDIR(attr->stx_mode)) use_all(image, entry.ino, depth + 1);
  }
}

std::string mutate(const std::string& from, std::mt19937* random) {
  std::string out = from;
  const auto any = [&](size_t below) { return (*random)() % std::max<size_t>(below, 1); };
  const size_t changes = 1 + any(any(2) == 0 ? 2 : 8);
  for (size_t i = 0; i < changes && !out.empty(); ++i) {
    const size_t at = any(out.size());
    switch (any(7)) {
      case 0:
        out[at] = static_cast<char>((*random)());
        break;
      case 1:
        out[at] = static_cast<char>(out[at] ^ (1 << any(8)));
        break;
      case 2:
        out.erase(at, 1 + any(64));
        break;
      case 3:
        out.insert(at, out.substr(any(out.size()), 1 + any(512)));
        break;
      case 4:
        out.replace(at, std::min<size_t>(4, out.size() - at), "\xff\xff\xff\xff");
        break;
      case 5:
        out.resize(at + 1);
        break;
      default:
        out.replace(at, std::min<size_t>(8, out.size() - at), std::string(8, '\0'));
    }
  }
  return out;
}

unsigned number_from(const char* variable, unsigned usual) {
  const char* text = getenv(variable);
  return text == nullptr ? usual : static_cast<unsigned>(strtoul(text, nullptr, 10));
}

class Damaged : public ::testing::TestWithParam<const char*> {};

TEST_P(Damaged, EndsAndCrashesNothing) {
  const std::string kind = GetParam();
  const size_t plus = kind.find('+');
  const std::string format = kind.substr(0, plus);
  const std::string filter = plus == std::string::npos ? "" : kind.substr(plus + 1);
  std::vector<MadeEntry> entries = small_sample();
  if (format == "arbsd")
    entries = {made_file("one", "first"), made_file("a-name-that-is-long-enough", "x")};
  const std::string bytes =
      format == "rar" ? make_rar(entries) : make_archive(format, filter, entries);
  const std::string type(open_bytes(bytes, "auto")->type());
  // Each run does the same, unless somebody wants a longer one with another seed.
  const unsigned seed = number_from("VIEWSH_FUZZ_SEED", 20240607);
  const int rounds = static_cast<int>(number_from("VIEWSH_FUZZ_ROUNDS", 400));
  std::mt19937 random(seed);
  const std::chrono::milliseconds enough{rounds * 10};
  const auto end = std::chrono::steady_clock::now() + enough;
  int opened = 0;
  int round = 0;
  for (; round < rounds && std::chrono::steady_clock::now() < end; ++round) {
    auto image =
        open_bytes(round == 0 ? bytes : mutate(bytes, &random), round % 2 == 0 ? "auto" : type);
    if (image == nullptr) continue;
    ++opened;
    use_all(*image, image->root(), 0);
  }
  EXPECT_GT(round, 10);
  EXPECT_GT(opened, 0);  // or nothing was shown but that all are refused
}

INSTANTIATE_TEST_SUITE_P(All, Damaged,
                         ::testing::Values("pax", "gnutar", "pax+gzip", "pax+zstd", "pax+xz",
                                           "pax+bzip2", "newc", "cpio", "zip", "7zip", "iso9660",
                                           "xar", "arbsd", "rar"),
                         [](const auto& one) {
                           std::string name = one.param;
                           for (char& c : name) c = c == '+' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace viewsh

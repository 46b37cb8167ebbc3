#include "archive_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>

#include "archive_maker.h"

namespace viewsh {
namespace {

using Lines = std::vector<std::string>;

std::string noise(size_t size, unsigned seed) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525U + 1013904223U;
    c = static_cast<char>(seed >> 24U);
  }
  return out;
}

std::vector<MadeEntry> sample() {
  return {made_dir("dir"),
          made_file("dir/one", "first"),
          made_file("two", noise(200'000, 1)),
          made_file("dir/empty", ""),
          made_file("dir/sub/three", noise(70'000, 2)),
          made_file("last", "the last one")};
}

struct Kind {
  const char* type;
  const char* format;
  const char* filter;
};

class EveryFormat : public ::testing::TestWithParam<Kind> {};

TEST_P(EveryFormat, HasTheTreeAndTheContentInAnyOrder) {
  const Kind kind = GetParam();
  const bool rar = std::string(kind.format) == "rar";
  const std::string bytes =
      rar ? make_rar(sample()) : make_archive(kind.format, kind.filter, sample());
  for (const std::string& type : {std::string(kind.type), std::string("auto")}) {
    std::string error;
    auto image = open_bytes(bytes, type, &error);
    ASSERT_NE(image, nullptr) << error;
    EXPECT_EQ(image->type(), kind.type);
    EXPECT_EQ(tree_of(*image), (Lines{"d dir", "f dir/empty", "f dir/one", "d dir/sub",
                                      "f dir/sub/three", "f last", "f two"}));
    for (const char* name : {"last", "dir/one", "two", "dir/sub/three", "last", "dir/one"}) {
      for (const MadeEntry& entry : sample()) {
        if (entry.path != name) continue;
        EXPECT_EQ(content_of(*image, name), entry.content) << name;
      }
    }
    EXPECT_EQ(content_of(*image, "dir/empty"), "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormat,
                         ::testing::Values(Kind{"tar", "pax", ""}, Kind{"tar", "ustar", ""},
                                           Kind{"tar", "gnutar", ""}, Kind{"tar", "pax", "gzip"},
                                           Kind{"tar", "pax", "bzip2"}, Kind{"tar", "pax", "xz"},
                                           Kind{"tar", "pax", "zstd"}, Kind{"tar", "pax", "lz4"},
                                           Kind{"tar", "pax", "lzma"}, Kind{"tar", "pax", "lzip"},
                                           Kind{"tar", "pax", "compress"}, Kind{"zip", "zip", ""},
                                           Kind{"7z", "7zip", ""}, Kind{"cpio", "newc", ""},
                                           Kind{"cpio", "cpio", ""}, Kind{"cpio", "newc", "gzip"},
                                           Kind{"iso9660", "iso9660", ""}, Kind{"xar", "xar", ""},
                                           Kind{"rar", "rar", ""}),
                         [](const auto& one) {
                           return std::string("T") + one.param.type + "_" + one.param.format + "_" +
                                  one.param.filter;
                         });

TEST(ArchiveImage, ArHasItsMembers) {
  const auto entries = std::vector<MadeEntry>{made_file("debian-binary", "2.0\n"),
                                              made_file("a-rather-long-name-of-a-member", "long"),
                                              made_file("odd", "odd")};
  for (const char* format : {"arbsd", "argnu"}) {
    // GNU's table of long names isn't written by the library on its own.
    const bool bsd = std::string(format) == "arbsd";
    auto taken = entries;
    if (!bsd) taken.erase(taken.begin() + 1);
    auto image = open_bytes(make_archive(format, "", taken), "auto");
    ASSERT_NE(image, nullptr);
    EXPECT_EQ(image->type(), "ar");
    for (const MadeEntry& entry : taken) EXPECT_EQ(content_of(*image, entry.path), entry.content);
    EXPECT_EQ(tree_of(*image).size(), taken.size());
  }
}

TEST(ArchiveImage, KeepsWhatTarKnows) {
  auto entries = sample();
  entries.push_back({.path = "dir/fifo", .mode = S_IFIFO | 0600});
  entries.push_back({.path = "dir/null", .mode = S_IFCHR | 0666});
  entries.push_back(made_symlink("dir/link", "../two"));
  entries.push_back(made_link("dir/hard", "two"));
  entries.push_back({.path = "x",
                     .mode = S_IFREG | 04751,
                     .content = "x",
                     .uid = 77,
                     .mtime = 1234,
                     .nanoseconds = 987654321,
                     .xattrs = {{"user.a", std::string("b\0c", 3)}, {"other", "not shown"}}});
  auto image = open_bytes(make_archive("pax", "zstd", entries), "tar");
  ASSERT_NE(image, nullptr);
  const auto x = image->getattr(number_of(*image, "x"));
  ASSERT_TRUE(x.ok());
  EXPECT_EQ(x->stx_mode, S_IFREG | 04751);
  EXPECT_EQ(x->stx_uid, 77U);
  EXPECT_EQ(x->stx_mtime.tv_sec, 1234);
  EXPECT_EQ(x->stx_mtime.tv_nsec, 987654321U);
  EXPECT_EQ(*image->listxattr(x->stx_ino), (Lines{"user.a"}));
  EXPECT_EQ(*image->getxattr(x->stx_ino, "user.a"), std::string("b\0c", 3));
  EXPECT_EQ(image->getxattr(x->stx_ino, "user.b").error(), ENODATA);
  EXPECT_EQ(number_of(*image, "dir/hard"), number_of(*image, "two"));
  EXPECT_EQ(image->getattr(number_of(*image, "two"))->stx_nlink, 2U);
  EXPECT_EQ(image->getattr(number_of(*image, "dir"))->stx_nlink, 3U);
  EXPECT_EQ(*image->readlink(number_of(*image, "dir/link")), "../two");
  EXPECT_EQ(image->readlink(number_of(*image, "two")).error(), EINVAL);
  EXPECT_TRUE(S_ISFIFO(image->getattr(number_of(*image, "dir/fifo"))->stx_mode));
  const auto null = image->getattr(number_of(*image, "dir/null"));
  EXPECT_TRUE(S_ISCHR(null->stx_mode));
  EXPECT_EQ(null->stx_rdev_major, 1U);
  EXPECT_EQ(null->stx_rdev_minor, 3U);
  EXPECT_EQ(image->getattr(9999).error(), ESTALE);
  EXPECT_EQ(image->lookup(image->root(), "nope").error(), ENOENT);
  EXPECT_EQ(image->lookup(number_of(*image, "x"), "y").error(), ENOTDIR);
  EXPECT_EQ(image->lookup(image->root(), std::string(300, 'n')).error(), ENAMETOOLONG);
}

TEST(ArchiveImage, CpioHasTheContentWithTheLastName) {
  auto bytes = make_archive("newc", "", {made_file("a", ""), made_file("z", "z")});
  // The two names of one inode: the content comes with the second.
  std::string two;
  const auto header = [&](const std::string& name, const std::string& content) {
    char text[128];
    snprintf(text, sizeof text, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 7,
             S_IFREG | 0644, 0, 0, 2, 1, static_cast<unsigned>(content.size()), 0, 0, 0, 0,
             static_cast<unsigned>(name.size() + 1), 0);
    std::string out = text + name + std::string(1, '\0');
    while (out.size() % 4 != 0) out.push_back('\0');
    out += content;
    while (out.size() % 4 != 0) out.push_back('\0');
    return out;
  };
  two = header("a", "") + header("b", "shared") + bytes;
  auto image = open_bytes(two, "cpio");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(content_of(*image, "b"), "shared");
}

TEST(ArchiveImage, NamesStayInside) {
  const std::vector<MadeEntry> entries = {
      made_file("../outside", "x"),
      made_file("a/../../b", "x"),
      made_file("/absolute/name", "absolute"),
      made_file(".//./dotted//name", "dotted"),
      made_file("..", "x"),
      made_file(std::string(300, 'n'), "x"),
      made_symlink("out", "/etc"),
      made_file("out/passwd", "x"),
      made_file("file", "file"),
      made_file("file/below", "x"),
      made_link("hard", "../../etc/passwd"),
      made_link("hard2", "nowhere"),
      made_file("good", "good"),
  };
  auto image = open_archive(make_archive("pax", "", entries), "tar");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(tree_of(*image), (Lines{"d absolute", "f absolute/name", "d dotted", "f dotted/name",
                                    "f file", "f good", "l out"}));
  EXPECT_EQ(image->index().left_out, 8U);
  EXPECT_EQ(content_of(*image, "absolute/name"), "absolute");
  EXPECT_EQ(content_of(*image, "good"), "good");
}

TEST(ArchiveImage, LaterEntriesReplaceEarlierOnes) {
  const std::vector<MadeEntry> entries = {
      made_file("a", "old"), made_link("b", "a"),
      made_file("a", "new"), made_file("c", "a file"),
      made_dir("c", 0700),   made_file("c/x", "below"),
      made_dir("d"),         made_file("d", "a file"),
      made_file("e/f", "f"), made_file("e", "not this"),
      made_dir("c", 0711),   made_link("b", "b"),
  };
  for (const char* filter : {"", "gzip"}) {
    auto image = open_archive(make_archive("pax", filter, entries), "tar");
    ASSERT_NE(image, nullptr);
    EXPECT_EQ(tree_of(*image), (Lines{"f a", "f b", "d c", "f c/x", "f d", "d e", "f e/f"}));
    EXPECT_EQ(content_of(*image, "a"), "new");
    EXPECT_EQ(content_of(*image, "b"), "old");
    EXPECT_EQ(image->getattr(number_of(*image, "a"))->stx_nlink, 1U);
    EXPECT_EQ(image->getattr(number_of(*image, "b"))->stx_nlink, 1U);
    EXPECT_EQ(image->getattr(number_of(*image, "c"))->stx_mode, S_IFDIR | 0711);
    EXPECT_EQ(content_of(*image, "d"), "a file");
    EXPECT_EQ(image->index().left_out, 1U);
  }
}

TEST(ArchiveImage, LoopsOfLinksEnd) {
  auto image = open_bytes(make_archive("pax", "",
                                       {made_symlink("a", "b"), made_symlink("b", "a"),
                                        made_link("x", "y"), made_link("y", "x")}),
                          "tar");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(tree_of(*image), (Lines{"l a", "l b"}));
}

TEST(ArchiveImage, CutShortIsRefused) {
  struct Case {
    const char* format;
    const char* filter;
  };
  for (const Case& c :
       {Case{"pax", ""}, Case{"pax", "gzip"}, Case{"pax", "xz"}, Case{"pax", "zstd"},
        Case{"newc", ""}, Case{"zip", ""}, Case{"7zip", ""}, Case{"iso9660", ""}}) {
    std::string bytes = make_archive(c.format, c.filter, sample());
    bytes.resize(bytes.size() * 2 / 3);
    std::string error;
    EXPECT_EQ(open_bytes(bytes, "auto", &error), nullptr) << c.format << c.filter;
    EXPECT_NE(error, "");
  }
}

TEST(ArchiveImage, WhatIsNoArchiveIsRefused) {
  std::string error;
  EXPECT_EQ(open_bytes("hello, this is text\n", "auto", &error), nullptr);
  EXPECT_EQ(error, "not an image or archive that is known");
  EXPECT_EQ(open_bytes("", "auto", &error), nullptr);
  EXPECT_EQ(open_bytes(noise(100'000, 3), "auto", &error), nullptr);
  EXPECT_EQ(open_bytes(noise(100'000, 3), "tar", &error), nullptr);
  EXPECT_EQ(open_bytes(std::string(100'000, '\0'), "auto", &error), nullptr);
  EXPECT_NE(open_bytes(std::string(10'240, '\0'), "tar", &error), nullptr) << "an empty tar";
  EXPECT_EQ(open_bytes(make_archive("pax", "", sample()), "zip", &error), nullptr);
  EXPECT_EQ(open_bytes(make_archive("pax", "", sample()), "nope", &error), nullptr);
  EXPECT_EQ(open_bytes(make_archive("pax", "", sample()), "tar", &error, {{"x", ""}}), nullptr);
  EXPECT_EQ(error, "unknown option 'x'");
}

TEST(ArchiveImage, DeclaredSizesAreNotBelieved) {
  std::string bytes = make_archive("ustar", "", {made_file("a", "abc"), made_file("b", "b")});
  const auto set_size = [&](const char* octal) {
    memcpy(bytes.data() + 124, octal, 12);
    memset(bytes.data() + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bytes[i]);
    snprintf(bytes.data() + 148, 8, "%06o", sum);
  };
  set_size("77777777777");
  EXPECT_EQ(open_bytes(bytes, "tar"), nullptr);
  // 256-bit numbers: base 256, 2^63 - 1 and a negative one.
  set_size("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(open_bytes(bytes, "tar"), nullptr);
  set_size("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  (void)open_bytes(bytes, "tar");  // refused or without the file: that it ends is what counts
}

TEST(ArchiveImage, ManyFilesOfACompressedArchiveTakeFewPasses) {
  std::vector<MadeEntry> entries;
  for (unsigned i = 0; i < 200; ++i)
    entries.push_back(made_file("f" + std::to_string(i), noise(5000, i)));
  const std::string bytes = make_archive("pax", "zstd", entries);
  auto image = open_archive(bytes, "tar");
  ASSERT_NE(image, nullptr);
  for (unsigned i = 200; i-- > 0;)
    ASSERT_EQ(content_of(*image, "f" + std::to_string(i)), noise(5000, i));
  EXPECT_EQ(image->passes(), 1U);
  // Once a content was handed out, it isn't kept any longer.
  EXPECT_EQ(content_of(*image, "f7"), noise(5000, 7));
  EXPECT_EQ(image->passes(), 2U);
  // With little room: more passes, the same content.
  auto narrow = open_archive(bytes, "tar", 50'000);
  for (unsigned i = 200; i-- > 0;)
    ASSERT_EQ(content_of(*narrow, "f" + std::to_string(i)), noise(5000, i));
  EXPECT_LT(narrow->passes(), 60U);
}

TEST(ArchiveImage, AnIsoInAnyOrderTakesFewPasses) {
  std::vector<MadeEntry> entries;
  for (unsigned i = 0; i < 200; ++i)
    entries.push_back(made_file("f" + std::to_string(i), noise(5000, i)));
  auto image = open_archive(make_archive("iso9660", "", entries), "iso9660");
  ASSERT_NE(image, nullptr);
  for (unsigned i = 0; i < 200; ++i) {
    const unsigned which = i * 77 % 200;
    ASSERT_EQ(content_of(*image, "f" + std::to_string(which)), noise(5000, which));
  }
  EXPECT_LT(image->passes(), 12U);
}

TEST(ArchiveImage, UncompressedArchivesTakeNoPass) {
  for (const char* format : {"pax", "newc", "zip"}) {
    auto image = open_archive(make_archive(format, "", sample()), "auto");
    ASSERT_NE(image, nullptr);
    for (const MadeEntry& entry : sample()) {
      if (!S_ISREG(entry.mode)) continue;
      EXPECT_EQ(content_of(*image, entry.path), entry.content);
    }
    EXPECT_EQ(image->passes(), 0U) << format;
  }
}

TEST(ArchiveImage, HundredThousandEntries) {
  std::vector<MadeEntry> entries;
  for (unsigned i = 0; i < 100'000; ++i)
    entries.push_back(made_file("d" + std::to_string(i % 300) + "/" + std::to_string(i), "x"));
  const auto begin = std::chrono::steady_clock::now();
  for (const char* format : {"pax", "zip"}) {
    auto image = open_archive(make_archive(format, "", entries), "auto");
    ASSERT_NE(image, nullptr);
    EXPECT_EQ(image->index().tree->count(), 100'301U);
    EXPECT_EQ(content_of(*image, "d99/99999"), "x");
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 60.0);
}

TEST(ArchiveImage, IsoWithoutRockRidgeShowsWhatTheKernelShows) {
  // The writer always has Rock Ridge unless it is told not to; the options of the mount then count.
  auto image = open_bytes(make_archive("iso9660", "", sample()), "iso9660", nullptr,
                          {{"uid", "5"}, {"mode", "600"}});
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->getattr(number_of(*image, "two"))->stx_uid, 5U);
  EXPECT_EQ(image->getattr(number_of(*image, "two"))->stx_mode & 0777, 0444);
  image = open_bytes(make_archive("iso9660", "", sample()), "iso9660", nullptr,
                     {{"overriderockperm", ""}, {"mode", "640"}, {"dmode", "750"}});
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->getattr(number_of(*image, "two"))->stx_mode, S_IFREG | 0640);
  EXPECT_EQ(image->getattr(number_of(*image, "dir"))->stx_mode, S_IFDIR | 0750);
}

TEST(ArchiveImage, ChangedWhileOpenIsAnError) {
  const std::string bytes = make_archive("pax", "", sample());
  UniqueFd fd = file_with(bytes);
  auto source = ImageSource::open(UniqueFd(dup(fd.get())), 0, 0);
  auto shared = std::make_shared<const ImageSource>(std::move(*source));
  MountError error;
  auto index = read_archive_index(*shared, "tar", {}, &error);
  ASSERT_NE(index, nullptr);
  ArchiveImage image(shared, std::move(index), nullptr);
  EXPECT_EQ(content_of(image, "last"), "the last one");
  const timespec times[2] = {{0, UTIME_OMIT}, {5, 5}};
  ASSERT_EQ(futimens(fd.get(), times), 0);
  EXPECT_EQ(content_of(image, "last"), "error " + std::to_string(EIO));
}

TEST(ArchiveImage, PartOfAFile) {
  const std::string inner = make_archive("pax", "", sample());
  auto source = ImageSource::open(file_with("12345" + inner + "rest"), 5, inner.size());
  ASSERT_TRUE(source.ok());
  ImageRequest request;
  request.type = "auto";
  MountError error;
  auto image = open_image(std::make_shared<ImageSource>(std::move(*source)), request, &error);
  ASSERT_NE(image, nullptr) << error.text;
  EXPECT_EQ(content_of(*image, "last"), "the last one");
  EXPECT_EQ(ImageSource::open(file_with("x"), 2, 0).error(), EINVAL);
}

TEST(ArchiveImage, SparseFilesStaySparse) {
  std::string bytes;
  archive* a = archive_write_new();
  archive_write_set_format_pax(a);
  bytes.resize(1 << 20);
  size_t used = 0;
  archive_write_open_memory(a, bytes.data(), bytes.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "sparse");
  archive_entry_set_mode(entry, S_IFREG | 0644);
  constexpr la_int64_t kSize = la_int64_t{1} << 30;
  archive_entry_set_size(entry, kSize);
  archive_entry_sparse_add_entry(entry, 4096, 4096);
  archive_entry_sparse_add_entry(entry, kSize - 4096, 4096);
  ASSERT_EQ(archive_write_header(a, entry), ARCHIVE_OK);
  archive_write_data(a, std::string(4096, '\0').data(), 4096);
  archive_write_data(a, std::string(4096, 'a').data(), 4096);
  const std::string hole(1 << 20, '\0');
  for (la_int64_t at = 8192; at < kSize - 4096;) {
    const auto n = std::min<la_int64_t>(kSize - 4096 - at, 1 << 20);
    archive_write_data(a, hole.data(), static_cast<size_t>(n));
    at += n;
  }
  archive_write_data(a, std::string(4096, 'b').data(), 4096);
  archive_entry_free(entry);
  ASSERT_EQ(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
  bytes.resize(used);
  ASSERT_LT(used, 100'000U);
  auto image = open_bytes(bytes, "tar");
  ASSERT_NE(image, nullptr);
  UniqueFd fd = file_with("");
  ASSERT_TRUE(image->extract(number_of(*image, "sparse"), fd.get()).ok());
  struct stat st {};
  fstat(fd.get(), &st);
  EXPECT_EQ(st.st_size, kSize);
  EXPECT_LE(st.st_blocks, 64);
  char c = 0;
  EXPECT_EQ(pread(fd.get(), &c, 1, 5000), 1);
  EXPECT_EQ(c, 'a');
  EXPECT_EQ(pread(fd.get(), &c, 1, kSize - 1), 1);
  EXPECT_EQ(c, 'b');
}

}  // namespace
}  // namespace viewsh

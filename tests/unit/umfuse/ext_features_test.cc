#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "ext_fixture.h"

namespace viewsh {
namespace {

struct Variant {
  const char* name;
  std::vector<std::string> options;
  const char* type;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"ext2", {"-t", "ext2"}, "ext2"},
      {"ext2_1k", {"-t", "ext2", "-b", "1024"}, "ext2"},
      {"ext2_old", {"-t", "ext2", "-r", "0", "-b", "1024", "-O", "none"}, "ext2"},
      {"ext3", {"-t", "ext3", "-I", "128"}, "ext3"},
      {"ext3_1k", {"-t", "ext3", "-b", "1024"}, "ext3"},
      {"ext4", {"-t", "ext4"}, "ext4"},
      {"ext4_1k", {"-t", "ext4", "-b", "1024"}, "ext4"},
      {"ext4_2k", {"-t", "ext4", "-b", "2048"}, "ext4"},
      {"ext4_64k", {"-t", "ext4", "-b", "65536"}, "ext4"},
      {"nojournal", {"-t", "ext4", "-O", "^has_journal"}, "ext4"},
      {"inline", {"-t", "ext4", "-O", "inline_data"}, "ext4"},
      {"inline_1k", {"-t", "ext4", "-b", "1024", "-I", "512", "-O", "inline_data"}, "ext4"},
      {"no64", {"-t", "ext4", "-O", "^64bit"}, "ext4"},
      {"nocsum", {"-t", "ext4", "-O", "^metadata_csum,uninit_bg"}, "ext4"},
      {"csumseed", {"-t", "ext4", "-O", "metadata_csum_seed"}, "ext4"},
      {"sparse2", {"-t", "ext4", "-O", "sparse_super2"}, "ext4"},
      {"meta_bg", {"-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"}, "ext4"},
      {"noflex", {"-t", "ext4", "-b", "1024", "-O", "^flex_bg"}, "ext4"},
      {"noextent", {"-t", "ext4", "-O", "^extents,^64bit"}, "ext4"},
      {"nofiletype", {"-t", "ext4", "-O", "^filetype"}, "ext4"},
      {"orphan_file", {"-t", "ext4", "-O", "orphan_file"}, "ext4"},
      {"fast_commit", {"-t", "ext4", "-O", "fast_commit"}, "ext4"},
      {"largedir", {"-t", "ext4", "-O", "large_dir"}, "ext4"},
      {"nodirindex", {"-t", "ext4", "-O", "^dir_index"}, "ext4"},
      {"big_inode", {"-t", "ext4", "-I", "1024"}, "ext4"},
  };
  return all;
}

void write_file(const std::string& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

class ExtFeatures : public ExtTest, public ::testing::WithParamInterface<Variant> {
 protected:
  /// A tree with all that mke2fs -d copies.
  std::string make_source() {
    const std::string root = path("source");
    ::mkdir(root.c_str(), 0755);
    ::mkdir((root + "/dir").c_str(), 0750);
    ::mkdir((root + "/dir/deep").c_str(), 0700);
    ::mkdir((root + "/many").c_str(), 0755);
    for (int i = 0; i < 300; ++i) {
      write_file(root + "/many/a_rather_long_name_" + std::to_string(i), std::to_string(i));
    }
    write_file(root + "/empty", "");
    write_file(root + "/tiny", "tiny");
    write_file(root + "/small", pattern(150, 1));
    write_file(root + "/block", pattern(4096, 2));
    write_file(root + "/large", pattern(2 << 20, 3));
    write_file(root + "/dir/deep/file", pattern(70000, 4));
    EXPECT_EQ(::link((root + "/small").c_str(), (root + "/dir/hard").c_str()), 0);
    EXPECT_EQ(::symlink("small", (root + "/link").c_str()), 0);
    EXPECT_EQ(::symlink(std::string(300, 'x').c_str(), (root + "/slow").c_str()), 0);
    EXPECT_EQ(::mkfifo((root + "/fifo").c_str(), 0640), 0);
    const int sparse = ::open((root + "/sparse").c_str(), O_CREAT | O_RDWR, 0644);
    EXPECT_EQ(::pwrite(sparse, "x", 1, 5 << 20), 1);
    ::close(sparse);
    return root;
  }

  static void change_names(ExtImage* ext, const std::string& source) {
    const NodeId many = at(ext, "many");
    for (int i = 0; i < 300; i += 2) {
      const std::string name = "a_rather_long_name_" + std::to_string(i);
      EXPECT_TRUE(ext->unlink(many, name));
      ::unlink((source + "/many/" + name).c_str());
    }
    for (int i = 0; i < 100; ++i) {
      const std::string name = "new" + std::to_string(i);
      put(ext, many, name, pattern(static_cast<size_t>(i) * 100, 9));
      write_file(source + "/many/" + name, pattern(static_cast<size_t>(i) * 100, 9));
    }
    EXPECT_TRUE(ext->rename(ext->root(), "dir", many, "moved", 0));
    EXPECT_EQ(::rename((source + "/dir").c_str(), (source + "/many/moved").c_str()), 0);
  }

  static void change_contents(ExtImage* ext, const std::string& source) {
    const std::string tail = pattern(5000, 10);
    for (const std::string name : {"tiny", "small", "empty", "large"}) {
      const auto put = ext->pwrite(at(ext, name), tail.data(), tail.size(), 100);
      EXPECT_TRUE(put && *put == tail.size()) << name;
      const int fd = ::open((source + "/" + name).c_str(), O_RDWR);
      EXPECT_EQ(::pwrite(fd, tail.data(), tail.size(), 100), 5000);
      ::close(fd);
    }
    SetAttr shorter;
    shorter.size = 1234567;
    EXPECT_TRUE(ext->setattr(at(ext, "large"), shorter));
    EXPECT_EQ(::truncate((source + "/large").c_str(), 1234567), 0);
  }

  static void make_others(ExtImage* ext, const std::string& source) {
    WritableImage::NewNode node;
    node.mode = S_IFIFO | 0640;
    EXPECT_TRUE(ext->mknod(ext->root(), "fifo2", node));
    EXPECT_EQ(::mkfifo((source + "/fifo2").c_str(), 0640), 0);
    node.mode = 0755;
    EXPECT_TRUE(ext->mkdir(ext->root(), "dir2", node));
    EXPECT_EQ(::mkdir((source + "/dir2").c_str(), 0755), 0);
    for (const size_t size : {size_t{20}, size_t{59}, size_t{60}, size_t{500}}) {
      const std::string target(size, 't');
      const std::string name = "link" + std::to_string(size);
      EXPECT_TRUE(ext->symlink(ext->root(), name, target, {}));
      EXPECT_EQ(::symlink(target.c_str(), (source + "/" + name).c_str()), 0);
    }
  }
};

TEST_P(ExtFeatures, ReadsWhatMke2fsWrote) {
  const std::string source = make_source();
  auto options = GetParam().options;
  options.insert(options.end(), {"-d", source});
  const std::string file = make("image", 32, options);
  ExtOptions ro;
  ro.ro = true;
  Opened image = open(file, ro);
  ASSERT_TRUE(image.image);
  EXPECT_EQ(image.why, "");
  EXPECT_EQ(image->type(), GetParam().type);
  EXPECT_TRUE(image->read_only());
  expect_same_tree(image.image.get(), image->root(), source);
  for (const std::string name : {"sparse", "large", "tiny", "empty"}) {
    const std::string out = path("out");
    UniqueFd to(::open(out.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600));
    const auto done = image->extract(at(image.image.get(), name), to.get());
    EXPECT_TRUE(done) << name << done.error().message();
    EXPECT_EQ(run({"cmp", out, source + "/" + name}).status, 0) << name;
    struct stat st;
    ASSERT_EQ(::fstat(to.get(), &st), 0);
    if (name == "sparse") {
      EXPECT_LT(st.st_blocks, 1024);
    }
  }
}

TEST_P(ExtFeatures, ChangesLeaveItConsistent) {
  const std::string source = make_source();
  auto options = GetParam().options;
  options.insert(options.end(), {"-d", source});
  const std::string file = make("image", 32, options);
  Opened image = open(file);
  ASSERT_TRUE(image.image);
  EXPECT_EQ(image.why, "");
  EXPECT_FALSE(image->read_only());
  change_names(image.image.get(), source);
  change_contents(image.image.get(), source);
  make_others(image.image.get(), source);
  expect_same_tree(image.image.get(), image->root(), source);
  close(&image, file);
  image = open(file);
  ASSERT_TRUE(image.image);
  expect_same_tree(image.image.get(), image->root(), source);
  close(&image, file);
}

INSTANTIATE_TEST_SUITE_P(All, ExtFeatures, ::testing::ValuesIn(variants()),
                         [](const auto& each) { return std::string(each.param.name); });

class ExtOpening : public ExtTest {};

TEST_F(ExtOpening, RefusesWhatIsNone) {
  const std::string file = path("none");
  write_file(file, pattern(100000, 1));
  UniqueFd fd(::open(file.c_str(), O_RDWR));
  std::string why;
  EXPECT_EQ(ExtImage::open(fd.get(), {}, &why).error(), EINVAL);
  EXPECT_EQ(why, "not an ext2, ext3 or ext4 image");
  write_file(file, "");
  EXPECT_EQ(ExtImage::open(fd.get(), {}, &why).error(), EINVAL);
  EXPECT_NE(why, "");
}

TEST_F(ExtOpening, FeaturesThatCanOnlyBeRead) {
  for (const std::string feature :
       {"bigalloc", "encrypt", "casefold", "ea_inode", "verity", "quota", "mmp"}) {
    const std::string file = make("image", 32, {"-t", "ext4", "-O", feature});
    Opened image = open(file);
    ASSERT_TRUE(image.image) << feature;
    EXPECT_TRUE(image->read_only()) << feature;
    EXPECT_NE(image.why.find(feature), std::string::npos) << image.why;
    EXPECT_EQ(image->mkdir(image->root(), "x", {}).error(), EROFS);
    close(&image, file);
  }
}

TEST_F(ExtOpening, TwoDontShareIt) {
  const std::string file = make("image", 16);
  Opened first = open(file);
  UniqueFd fd(::open(file.c_str(), O_RDWR));
  std::string why;
  EXPECT_EQ(ExtImage::open(fd.get(), {}, &why).error(), EBUSY);
  EXPECT_EQ(why, "it is in use by another one");
  ExtOptions ro;
  ro.ro = true;
  EXPECT_EQ(ExtImage::open(fd.get(), ro, &why).error(), EBUSY);
  close(&first, file);
  Opened reader = open(file, ro);
  EXPECT_TRUE(ExtImage::open(fd.get(), ro, &why)) << why;
}

TEST_F(ExtOpening, AtAnOffset) {
  const std::string file = make("image", 32, {"-t", "ext4", "-E", "offset=1048576"});
  ASSERT_EQ(::truncate(file.c_str(), 34 << 20), 0);
  ExtOptions options;
  options.offset = 1 << 20;
  options.sizelimit = 32 << 20;
  Opened image = open(file, options);
  ASSERT_TRUE(image.image);
  put(image.image.get(), image->root(), "file", pattern(100000, 7));
  ASSERT_TRUE(image->close());
  image.image.reset();
  expect_clean(file + "?offset=1048576");
  Opened again = open(file, options);
  EXPECT_EQ(get(again.image.get(), at(again.image.get(), "file")), pattern(100000, 7));
  options.sizelimit = 31 << 20;
  UniqueFd fd(::open(file.c_str(), O_RDWR));
  std::string why;
  EXPECT_EQ(ExtImage::open(fd.get(), options, &why).error(), EINVAL);
}

TEST_F(ExtOpening, MarksAreThoseOfAMount) {
  const std::string file = make("image", 16, {"-t", "ext2"});
  ExtOptions options;
  options.last_mounted = "/mnt/here";
  Opened image = open(file, options);
  put(image.image.get(), image->root(), "file", "x");
  ASSERT_TRUE(image->sync());
  EXPECT_NE(run({"dumpe2fs", "-h", file}).output.find("not clean"), std::string::npos);
  close(&image, file);
  const std::string head = run({"dumpe2fs", "-h", file}).output;
  EXPECT_EQ(head.find("not clean"), std::string::npos) << head;
  EXPECT_NE(head.find("/mnt/here"), std::string::npos) << head;
  EXPECT_NE(head.find("Mount count:              1"), std::string::npos) << head;
}

TEST_F(ExtOpening, AnUncleanOneIsWarnedOf) {
  const std::string file = make("image", 16, {"-t", "ext2"});
  Opened first = open(file);
  put(first.image.get(), first->root(), "file", "x");
  ASSERT_TRUE(first->sync());
  first.image.reset();
  Opened again = open(file);
  EXPECT_EQ(again.why, "it was not cleanly unmounted; run e2fsck");
}

/// A directory whose checksum is wrong: the image is marked, and nothing more is changed if so
/// wanted.
TEST_F(ExtOpening, WhatCantBeIsMarked) {
  for (const auto errors : {ExtOptions::Errors::kContinue, ExtOptions::Errors::kRemountRo}) {
    const std::string file = make("image", 16, {"-t", "ext4", "-b", "1024"});
    Opened image = open(file);
    const NodeId dir = *image->mkdir(image->root(), "dir", {});
    put(image.image.get(), dir, "inner", "x");
    put(image.image.get(), image->root(), "file", "x");
    close(&image, file);
    const std::string said = run({"debugfs", "-R", "bmap dir 0", file}).output;
    const off_t block = std::atoi(said.c_str() + said.find('\n') + 1);
    ASSERT_GT(block, 0) << said;
    {
      UniqueFd fd(::open(file.c_str(), O_RDWR));
      ASSERT_EQ(::pwrite(fd.get(), "?", 1, block * 1024 + 30), 1);
    }
    ExtOptions options;
    options.errors = errors;
    image = open(file, options);
    EXPECT_EQ(image.why, "");
    EXPECT_EQ(image->lookup(dir, "inner").error(), EUCLEAN);
    EXPECT_EQ(image->mknod(dir, "more", file_node()).error(),
              errors == ExtOptions::Errors::kContinue ? EUCLEAN : EROFS);
    EXPECT_EQ(image->read_only(), errors == ExtOptions::Errors::kRemountRo);
    ASSERT_TRUE(image->close());
    image.image.reset();
    EXPECT_NE(run({"dumpe2fs", "-h", file}).output.find("with errors"), std::string::npos);
    image = open(file);
    EXPECT_EQ(image.why, "it is marked as having errors; run e2fsck");
    image.image.reset();
    EXPECT_LE(run({"e2fsck", "-fy", file}).status, 1);
  }
}

TEST_F(ExtOpening, AJournalIsReplayed) {
  const std::string file = make("image", 32, {"-t", "ext4", "-E", "offset=65536"});
  ASSERT_EQ(::truncate(file.c_str(), 33 << 20), 0);
  ExtOptions options;
  options.offset = 65536;
  {
    Opened image = open(file, options);
    put(image.image.get(), image->root(), "file", pattern(10000, 7));
    ASSERT_TRUE(image->sync());
    put(image.image.get(), image->root(), "lost", "x");
  }
  ExtOptions ro = options;
  ro.ro = true;
  {
    Opened image = open(file, ro);
    EXPECT_EQ(image.why, "what its journal holds isn't shown");
  }
  Opened image = open(file, options);
  ASSERT_TRUE(image.image);
  EXPECT_FALSE(image->read_only()) << image.why;
  EXPECT_EQ(image.why, "");
  EXPECT_EQ(get(image.image.get(), at(image.image.get(), "file")), pattern(10000, 7));
  EXPECT_EQ(at(image.image.get(), "lost"), 0u);
  ASSERT_TRUE(image->close());
}

}  // namespace
}  // namespace viewsh

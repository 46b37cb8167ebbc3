// Export and import of a layer, in both forms.
#include <archive.h>
#include <archive_entry.h>
#include <sys/sysmacros.h>

#include <functional>

#include "cow_driver.h"

namespace viewsh::viewfs {
namespace {

class TransferTest : public testing::Test {
 protected:
  TransferTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    store_ = make_layer_store(host_);
    options_.root = lower_;
  }
  CowCalls& open(const std::string& layer = "work") {
    cow_ = std::make_unique<CowCalls>(cow_over(lower_, host_, layer));
    return *cow_;
  }
  void close() { cow_.reset(); }
  std::string layer_dir(const std::string& name) const {
    return host_.state_dir() + "/layers/" + name;
  }
  std::vector<std::string> shown(const std::string& layer) {
    auto out = describe(open(layer));
    close();
    return out;
  }
  std::string exported(const std::string& file) {
    const auto answer = store_->export_to("work", temp_.path() + "/" + file, options_);
    notes_ = answer.value.notes;
    return answer.error;
  }
  std::string imported(const std::string& file, const std::string& layer) {
    const auto answer = store_->import_from(temp_.path() + "/" + file, layer, options_);
    notes_ = answer.value.notes;
    return answer.error;
  }
  /// Nothing is left of an import that failed.
  void expect_nothing_left(const std::string& what) {
    std::vector<DirEntry> entries;
    ASSERT_EQ(native_list(host_.state_dir() + "/layers", &entries), 0);
    for (const DirEntry& entry : entries) EXPECT_EQ(entry.name, "work") << what;
  }
  void rich_layer();

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
  std::unique_ptr<CowCalls> cow_;
  TransferOptions options_;
  std::vector<std::string> notes_;
};

void set_times(const std::string& path, time_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

void write_at(const std::string& path, const std::string& text, off_t at) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(pwrite(fd, text.data(), text.size(), at), static_cast<ssize_t>(text.size()));
  ::close(fd);
}

/// Of every kind of change one.
void TransferTest::rich_layer() {
  CowCalls& cow = open();
  const std::string odd = "odd\n\xff\xfe ";
  ASSERT_EQ(cow.write("new", O_WRONLY | O_CREAT, 0640, "new"), 0);
  ASSERT_EQ(cow.write(odd, O_WRONLY | O_CREAT, 0600, "odd"), 0);
  ASSERT_EQ(cow.write("e\xcc\x81", O_WRONLY | O_CREAT, 0600, "not normalised"), 0);
  ASSERT_EQ(cow.write("secret", O_WRONLY | O_CREAT, 0600, "unreadable"), 0);
  ASSERT_EQ(cow.chmod("secret", 0), 0);
  ASSERT_EQ(cow.link(odd, "second"), 0);
  ASSERT_EQ(cow.write("t", O_WRONLY | O_TRUNC, 0, "all names"), 0);  // d/hard, a/hard, too
  ASSERT_EQ(cow.chmod("f/x", 04711), 0);
  ASSERT_EQ(cow.chmod("f", 0500), 0);
  ASSERT_EQ(cow.rename("a/b", "moved", 0), 0);
  ASSERT_EQ(cow.write("moved/2", O_WRONLY | O_TRUNC, 0, "changed"), EACCES);
  ASSERT_EQ(cow.unlink("moved/c/3"), 0);
  ASSERT_EQ(cow.unlink("a/link"), 0);
  ASSERT_EQ(cow.mkdir("a/link", 0755), 0);
  ASSERT_EQ(cow.rmdir("d/empty"), 0);
  ASSERT_EQ(cow.mkdir("d/empty", 0700), 0);
  ASSERT_EQ(cow.unlink("d/e/4"), 0);
  ASSERT_EQ(cow.rmdir("d/e"), 0);
  ASSERT_EQ(cow.mkdir("d/e", 0755), 0);
  ASSERT_EQ(cow.write("d/e/5", O_WRONLY | O_CREAT, 0644, "five"), 0);
  ASSERT_EQ(cow.rename("d/fifo", "fifo", 0), 0);
  ASSERT_EQ(cow.symlink("points", "to\n\xff"), 0);
  ASSERT_EQ(cow.mkdir("nothing", 0111), 0);
  ASSERT_EQ(cow.setxattr("new", std::string("a\0b", 3)), 0);
  ASSERT_EQ(cow.write("sparse", O_WRONLY | O_CREAT, 0644, ""), 0);
  write_at(cow.host("sparse"), "mid", 5 << 20);
  write_at(cow.host("sparse"), "end", (9 << 20) - 3);
  for (const char* path : {"sparse", "new", "points", "d/e/5", "second", "t"}) {
    set_times(cow.host(path), kOld + 7, 123456789);
  }
  for (const char* path : {"d/e", "d", "a", "moved", ""}) ASSERT_EQ(cow.utimens(path, kOld + 9), 0);
  close();
}

/// describe() hides what is new; exact times belong to the promise.
std::string exact_times(Calls& calls, const std::vector<std::string>& paths) {
  std::string out;
  for (const std::string& path : paths) {
    Attr attr{};
    const int error = calls.stat(path, &attr);
    out += path + " " + std::to_string(error) + " " + file_time(attr.stx_mtime).text() + " " +
           std::to_string(attr.stx_size) + " " + (attr.stx_blocks < 1024 ? "holes" : "full") + "\n";
  }
  return out;
}

const std::vector<std::string> kTimed = {"sparse", "new", "points", "d/e/5", "second", "t",
                                         "d/e",    "d",   "a",      "moved", "moved/2"};

TEST_F(TransferTest, RoundTripThroughEachForm) {
  rich_layer();
  const std::string before = fingerprint(lower_);
  const auto expected = shown("work");
  const std::string times = exact_times(open(), kTimed);
  close();
  for (const Compression compression :
       {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    options_.compression = compression;
    const std::string name = "c" + std::to_string(static_cast<int>(compression));
    ASSERT_EQ(exported(name), "");
    EXPECT_TRUE(notes_.empty());
    ASSERT_EQ(imported(name, name), "");
    EXPECT_EQ(shown(name), expected);
    EXPECT_EQ(exact_times(open(name), kTimed), times);
    close();
  }
  options_.overlayfs = true;
  ASSERT_EQ(exported("upper"), "");
  ASSERT_EQ(imported("upper", "o"), "");
  EXPECT_EQ(shown("o"), expected);
  EXPECT_EQ(exact_times(open("o"), kTimed), times);
  close();
  EXPECT_EQ(fingerprint(lower_), before);
}

TEST_F(TransferTest, FilesOfMoreThanEightGigabytes) {
  constexpr off_t kEnd = off_t{9} << 30;
  CowCalls& cow = open();
  ASSERT_EQ(cow.write("big", O_WRONLY | O_CREAT, 0644, "start"), 0);
  write_at(cow.host("big"), "mid", off_t{5} << 30);
  write_at(cow.host("big"), "end", kEnd - 3);
  ASSERT_EQ(cow.write("hole", O_WRONLY | O_CREAT, 0644, ""), 0);
  ASSERT_EQ(cow.truncate("hole", kEnd), 0);
  close();
  ASSERT_EQ(exported("file"), "");
  ASSERT_EQ(imported("file", "copy"), "");
  options_.overlayfs = true;
  ASSERT_EQ(exported("upper"), "");
  for (const std::string& dir : {layer_dir("copy") + "/upper", temp_.path() + "/upper"}) {
    struct stat st {};
    ASSERT_EQ(stat((dir + "/hole").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, kEnd);
    EXPECT_LT(st.st_blocks, 1024);
    ASSERT_EQ(stat((dir + "/big").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, kEnd);
    EXPECT_LT(st.st_blocks, 1024);
    const int fd = ::open((dir + "/big").c_str(), O_RDONLY | O_CLOEXEC);
    char text[3];
    EXPECT_EQ(pread(fd, text, 3, kEnd - 3), 3);
    EXPECT_EQ(std::string(text, 3), "end");
    EXPECT_EQ(pread(fd, text, 3, off_t{5} << 30), 3);
    EXPECT_EQ(std::string(text, 3), "mid");
    ::close(fd);
  }
}

TEST_F(TransferTest, TheSameLayerGivesTheSameBytes) {
  rich_layer();
  options_.compression = Compression::kGzip;
  ASSERT_EQ(exported("one"), "");
  ASSERT_EQ(exported("two"), "");
  EXPECT_TRUE(read_file(temp_.path() + "/one") == read_file(temp_.path() + "/two"));
  // And what comes back is the same layer.
  ASSERT_EQ(imported("one", "again"), "");
  ASSERT_EQ(store_->export_to("again", temp_.path() + "/three", options_).error, "");
  EXPECT_TRUE(read_file(temp_.path() + "/one") == read_file(temp_.path() + "/three"));
}

TEST_F(TransferTest, CommitOfWhatWasImported) {
  rich_layer();
  ASSERT_EQ(exported("file"), "");
  ASSERT_EQ(imported("file", "copy"), "");
  const auto expected = shown("copy");
  const auto done = store_->commit("copy", {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  sh("chmod u+r " + lower_ + "/nothing");  // a view lists what is its user's
  NativeCalls native(lower_);
  const auto got = describe(native);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    // Of directories only that they are there: names came and went in them.
    const bool dir = expected[i].find(" mode=40") != std::string::npos;
    const auto part = [&](const std::string& s) { return dir ? s.substr(0, s.find(" mode=")) : s; };
    EXPECT_EQ(part(got[i]), part(expected[i]));
  }
}

TEST_F(TransferTest, ALayerThatIsThereIsKept) {
  rich_layer();
  ASSERT_EQ(exported("file"), "");
  EXPECT_NE(imported("file", "work").find("is there already"), std::string::npos);
  EXPECT_NE(imported("file", "../x").find("one file name"), std::string::npos);
  EXPECT_NE(imported("nofile", "x").find("No such file"), std::string::npos);
  expect_nothing_left("no file");
}

TEST_F(TransferTest, NamesThatAreMarksAreRefused) {
  CowCalls& cow = open();
  ASSERT_EQ(cow.mkdir("dir", 0755), 0);
  ASSERT_EQ(cow.write("dir/.wh.x", O_WRONLY | O_CREAT, 0644, "x"), 0);
  close();
  EXPECT_NE(exported("file").find("/dir/.wh.x: a name that begins with .wh."), std::string::npos);
  EXPECT_NE(access((temp_.path() + "/file").c_str(), F_OK), 0);
  options_.overlayfs = true;
  ASSERT_EQ(exported("upper"), "");
  ASSERT_EQ(imported("upper", "copy"), "");
  EXPECT_EQ(shown("copy"), shown("work"));
}

TEST_F(TransferTest, OwnAttributesOfOverlayfsAreEscaped) {
  CowCalls& cow = open();
  ASSERT_EQ(cow.mkdir("a/new", 0755), 0);
  const std::string host = cow.host("a/new");
  ASSERT_EQ(lsetxattr(host.c_str(), "user.overlay.opaque", "y", 1, 0), 0);
  close();
  options_.overlayfs = true;
  ASSERT_EQ(exported("upper"), "");
  char value[8];
  const std::string upper = temp_.path() + "/upper/a/new";
  EXPECT_EQ(lgetxattr(upper.c_str(), "user.overlay.opaque", value, sizeof value), -1);
  EXPECT_EQ(lgetxattr(upper.c_str(), "user.overlay.overlay.opaque", value, sizeof value), 1);
  ASSERT_EQ(imported("upper", "copy"), "");
  const std::string back = layer_dir("copy") + "/upper/a/new";
  EXPECT_EQ(lgetxattr(back.c_str(), "user.overlay.opaque", value, sizeof value), 1);
}

TEST_F(TransferTest, WhiteoutsThatAreFilesWithAnAttribute) {
  const std::string upper = temp_.path() + "/upper";
  sh("mkdir -p " + upper + "/a && : >" + upper + "/a/1");
  ASSERT_EQ(lsetxattr((upper + "/a/1").c_str(), "user.overlay.whiteout", "", 0, 0), 0);
  ASSERT_EQ(lsetxattr((upper + "/a").c_str(), "user.overlay.opaque", "x", 1, 0), 0);
  options_.overlayfs = true;
  ASSERT_EQ(imported("upper", "copy"), "");
  Attr attr{};
  EXPECT_EQ(open("copy").stat("a/1", &attr), ENOENT);
  EXPECT_EQ(cow_->stat("a/hard", &attr), 0);
}

TEST_F(TransferTest, PathsLongerThanACallTakes) {
  // Made in pieces, since no path of it can be said in one.
  sh("cd " + lower_ +
     " && n=$(printf %0200d 0) && for i in $(seq 30); do mkdir $n && cd -P $n || "
     "exit; done; echo deep >file; ln file other; ln -s file link");
  CowCalls& cow = open();
  const std::string name(200, '0');
  ASSERT_EQ(cow.rename(name, "moved", 0), 0);
  close();
  ASSERT_EQ(exported("file"), "");
  ASSERT_EQ(imported("file", "copy"), "");
  options_.overlayfs = true;
  ASSERT_EQ(exported("upper"), "");
  sh("cd " + temp_.path() + "/upper/moved && for i in $(seq 29); do cd -P " + name +
     " || exit; done; test \"$(cat file)\" = deep && test file -ef other && "
     "test $(readlink link) = file");
  ASSERT_EQ(imported("upper", "again"), "");
  const auto first = store_->diff("copy", {});
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(first.value.size(), 34u);  // the old name, 30 directories, three files
  EXPECT_EQ(store_->diff("again", {}).value.size(), 34u);
  EXPECT_EQ(store_->discard("copy", {}).error, "");
  EXPECT_EQ(store_->discard("again", {}).error, "");
  sh("rm -rf " + temp_.path() + "/upper " + lower_);
}

TEST_F(TransferTest, WhatIsStoppedLeavesNothing) {
  rich_layer();
  ASSERT_EQ(exported("file"), "");
  const std::string before = read_file(temp_.path() + "/file");
  int calls = 0;
  options_.progress = [&](const TransferProgress&) { return ++calls < 5; };
  EXPECT_NE(imported("file", "copy").find("interrupted"), std::string::npos);
  expect_nothing_left("interrupted");
  calls = 0;
  EXPECT_NE(exported("file").find("interrupted"), std::string::npos);
  EXPECT_TRUE(read_file(temp_.path() + "/file") == before);
  calls = 0;
  options_.overlayfs = true;
  EXPECT_NE(exported("upper").find("interrupted"), std::string::npos);
  sh("cd " + temp_.path() + " && test -z \"$(ls -A | grep -E 'upper|[.]file')\"");
}

TEST_F(TransferTest, ATruncatedArchiveIsRefused) {
  rich_layer();
  ASSERT_EQ(exported("file"), "");
  options_.compression = Compression::kZstd;
  ASSERT_EQ(exported("small"), "");
  for (const char* file : {"file", "small"}) {
    const std::string all = read_file(temp_.path() + "/" + file);
    const size_t step = file[0] == 'f' ? 512 : all.size() / 20;
    for (size_t size = 0; size + 1024 < all.size(); size += step) {
      write_file(temp_.path() + "/cut", all.substr(0, size));
      EXPECT_NE(imported("cut", "copy"), "") << file << " " << size;
      expect_nothing_left(file);
    }
  }
}

/// An archive made entry by entry.
class Tar {
 public:
  explicit Tar(const std::string& file) : archive_(archive_write_new()) {
    archive_write_set_format_pax(archive_);
    archive_write_open_filename(archive_, file.c_str());
  }
  ~Tar() { archive_write_free(archive_); }
  Tar& add(const std::string& path, mode_t mode, const std::string& text = "") {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_mode(entry, mode);
    archive_entry_set_uid(entry, 12345);
    archive_entry_set_gid(entry, 54321);
    if (S_ISLNK(mode)) archive_entry_set_symlink(entry, text.c_str());
    if (S_ISCHR(mode)) archive_entry_set_rdev(entry, makedev(1, 3));
    const bool link = (mode & S_IFMT) == 0;
    if (link) archive_entry_set_hardlink(entry, text.c_str());
    if (S_ISREG(mode)) archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    archive_write_header(archive_, entry);
    if (S_ISREG(mode)) archive_write_data(archive_, text.data(), text.size());
    archive_entry_free(entry);
    return *this;
  }

 private:
  archive* archive_;
};

TEST_F(TransferTest, HostileArchivesAreRefused) {
  sh("ln -s /etc " + lower_ + "/etc");
  open(), close();
  const mode_t file = S_IFREG | 0644;
  const mode_t dir = S_IFDIR | 0755;
  const std::vector<std::pair<std::function<void(Tar&)>, const char*>> cases = {
      {[&](Tar& t) { t.add("/abs", file); }, "an absolute path"},
      {[&](Tar& t) { t.add("a/../../x", file); }, "with '..'"},
      {[&](Tar& t) { t.add("..", dir); }, "with '..'"},
      {[&](Tar& t) { t.add("l", S_IFLNK | 0777, "/tmp").add("l/x", file); }, "a symbolic link"},
      {[&](Tar& t) { t.add("l", S_IFLNK | 0777, "a").add("l/b/x", file); }, "a symbolic link"},
      {[&](Tar& t) { t.add("f", file).add("f/x", file); }, "not a directory"},
      {[&](Tar& t) { t.add("etc/passwd", file); }, "a symbolic link below the layer"},
      {[&](Tar& t) { t.add("etc/.wh.passwd", file); }, "a symbolic link below the layer"},
      {[&](Tar& t) { t.add("null", S_IFCHR | 0666); }, "a device node"},
      {[&](Tar& t) { t.add("h", 0644, "/etc/passwd"); }, "an absolute path"},
      {[&](Tar& t) { t.add("h", 0644, "../../../x"); }, "with '..'"},
      {[&](Tar& t) { t.add("l", S_IFLNK | 0777, "/etc").add("h", 0644, "l/passwd"); },
       "no file of that name"},
      {[&](Tar& t) { t.add("h", 0644, "t"); }, "no file of that name"},
      {[&](Tar& t) { t.add("d", dir).add("h", 0644, "d"); }, "no file of that name"},
      {[&](Tar& t) { t.add("d", dir).add("d", file); }, "comes twice"},
      {[&](Tar& t) { t.add("d", file).add("d", dir); }, "comes twice"},
      {[&](Tar& t) { t.add("x/.wh..", file); }, "not a mark"},
      {[&](Tar& t) { t.add("x/.wh...", file); }, "not a mark"},
      {[&](Tar& t) { t.add(".wh.", file); }, "not a mark"},
      {[&](Tar& t) { t.add(".wh.d/x", file); }, "not a mark"},
      {[&](Tar& t) { t.add(".wh..wh.plnk", dir); }, "not a mark"},
      {[&](Tar& t) { t.add(std::string(300, 'n'), file); }, "longer than 255"},
      {[&](Tar& t) { t.add(".", file); }, "not a directory"},
  };
  const std::string before = fingerprint(lower_);
  for (const auto& [make, expected] : cases) {
    {
      Tar tar(temp_.path() + "/bad");
      make(tar);
    }
    const std::string error = imported("bad", "copy");
    EXPECT_NE(error.find(expected), std::string::npos) << expected << ": [" << error << "]";
    EXPECT_EQ(error.find('\n'), std::string::npos);
    expect_nothing_left(expected);
  }
  write_file(temp_.path() + "/bad", "no archive at all");
  EXPECT_NE(imported("bad", "copy"), "");
  expect_nothing_left("no archive");
  EXPECT_EQ(fingerprint(lower_), before);
}

TEST_F(TransferTest, WhatOthersWrite) {
  {
    Tar tar(temp_.path() + "/file");
    tar.add("./", S_IFDIR | 0755)
        .add("./new/below/x", S_IFREG | 04755, "x")  // nobody tells of the directories
        .add("a/.wh.1", S_IFREG)
        .add("d/.wh..wh..opq", S_IFREG)
        .add("d/only", S_IFREG | 0600, "1")
        .add("d/only", S_IFREG | 0640, "2")  // the last one counts
        .add(".wh.f", S_IFREG)
        .add("f", S_IFDIR | 0755)
        .add("a/.wh.hard", S_IFREG)
        .add(".wh.neverwas", S_IFREG)
        .add("same", 0, "d/only");
  }
  ASSERT_EQ(imported("file", "copy"), "");
  CowCalls& cow = open("copy");
  Attr attr{};
  EXPECT_EQ(cow.stat("a/1", &attr), ENOENT);
  EXPECT_EQ(cow.stat("a/b/2", &attr), 0);
  EXPECT_EQ(cow.stat("d/hard", &attr), ENOENT);
  EXPECT_EQ(cow.stat("f/x", &attr), ENOENT);
  ASSERT_EQ(cow.stat("f", &attr), 0);
  EXPECT_EQ(attr.stx_mode, S_IFDIR | 0755);
  ASSERT_EQ(cow.stat("same", &attr), 0);
  EXPECT_EQ(attr.stx_nlink, 2u);
  EXPECT_EQ(read_file(cow.host("same")), "2");
  ASSERT_EQ(cow.stat("new/below/x", &attr), 0);
  EXPECT_EQ(attr.stx_uid, 12345u);  // as the archive says, though this user can't give files away
  EXPECT_EQ(attr.stx_gid, 54321u);
  EXPECT_EQ(attr.stx_mode, S_IFREG | 04755);
  ASSERT_EQ(cow.stat("new/below", &attr), 0);
  EXPECT_EQ(attr.stx_mode, S_IFDIR | 0755);
  ASSERT_EQ(cow.stat("t", &attr), 0);
  EXPECT_EQ(attr.stx_nlink, 2u);  // a/hard is gone
}

}  // namespace
}  // namespace viewsh::viewfs

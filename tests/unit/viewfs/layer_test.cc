#include "layer.h"

#include "cow_driver.h"
#include "layer_record.h"

namespace viewsh::viewfs {
namespace {

class LayerTest : public testing::Test {
 protected:
  LayerTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    store_ = make_layer_store(host_);
  }
  /// Mounted as / over the lower, so view paths are those of the lower's root.
  void open() { cow_ = std::make_unique<CowCalls>(cow_over(lower_, host_, "work")); }
  void close() { cow_.reset(); }
  std::string dir() const { return host_.state_dir() + "/layers/work"; }
  std::string mount_error() {
    MountError error;
    EXPECT_EQ(cow_over(lower_, host_, "work", &error), nullptr);
    return error.text;
  }
  std::string diff(const std::vector<std::string>& paths = {}) {
    auto answer = store_->diff("work", paths);
    if (!answer.ok()) return answer.error;
    static const char* const kKinds[] = {"added", "changed", "deleted", "renamed", "type"};
    std::string out;
    for (const Change& c : answer.value) {
      out += std::string(kKinds[static_cast<int>(c.kind)]) + " " + c.path;
      if (!c.old_path.empty()) out += " from " + c.old_path;
      if (c.content) out += " content";
      if (c.metadata) out += " metadata";
      out += "\n";
    }
    return out;
  }
  void write(const std::string& path, const std::string& text) {
    ASSERT_EQ(cow_->write(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, text), 0) << path;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
  std::unique_ptr<CowCalls> cow_;
};

TEST(LayerRecord, RoundTrip) {
  Transaction t;
  t.test = {HostTest::Kind::kIno, "a b/%|\n\xff", 77};
  Meta meta;
  meta.kind = Meta::Kind::kMerged;
  meta.type = NodeType::kDirectory;
  meta.redirect = "x/y z";
  meta.origin = LowerState{1, 2, 3, 4, 5, -6, 7, 8};
  meta.mode = 0555;
  meta.uid = 0;
  meta.changed = true;
  t.records = {Record::hide("", {}), Record::show("s"),          Record::node("n", meta),
               Record::clear("c"),   Record::move("from", "to"), Record::swap("a", "b")};
  const std::string line = encode(t);
  ASSERT_EQ(line.back(), '\n');
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto back = decode(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(back);
  EXPECT_EQ(encode(*back), line);
  EXPECT_EQ(back->records[2].meta.redirect, "x/y z");
  EXPECT_EQ(*back->records[2].meta.origin, *meta.origin);
  std::string broken = line.substr(0, line.size() - 1);
  broken[20] ^= 1;
  EXPECT_FALSE(decode(broken));
}

TEST_F(LayerTest, InUseIsRefusedWithTheViewsId) {
  open();
  EXPECT_EQ(mount_error(), "layer work: in use by view view-7");
  EXPECT_EQ(store_->layers().value.at(0).in_use, "view-7");
  EXPECT_EQ(store_->commit("work", {}, {}).error, "layer work: in use by view view-7");
  close();
  EXPECT_EQ(store_->layers().value.at(0).in_use, "");
}

TEST_F(LayerTest, WhatIsNotOursIsRefused) {
  open();
  close();
  write_file(dir() + "/layer", "viewsh-layer 2\nat /\nlower /\n");
  EXPECT_NE(mount_error().find("version 2"), std::string::npos);
  write_file(dir() + "/layer", "something else");
  EXPECT_NE(mount_error().find("not a layer's version file"), std::string::npos);
  write_file(dir() + "/layer", "viewsh-layer 1\nat /\nlower " + lower_ + "\n");
  write_file(dir() + "/log", "garbage\nmore\n");
  EXPECT_NE(mount_error().find("damaged at byte 0"), std::string::npos);
  EXPECT_NE(store_->diff("work", {}).error.find("damaged"), std::string::npos);
  EXPECT_NE(store_->diff("none", {}).error.find("no such layer"), std::string::npos);
  EXPECT_NE(store_->diff("../x", {}).error.find("one file name"), std::string::npos);
}

TEST_F(LayerTest, ATornLastLineIsCutOff) {
  open();
  ASSERT_EQ(cow_->unlink("a/1"), 0);
  close();
  std::string log = read_file(dir() + "/log");
  write_file(dir() + "/log", log + "deadbeef -|hide d%2ff");
  open();
  Attr attr{};
  EXPECT_EQ(cow_->stat("a/1", &attr), ENOENT);
  EXPECT_EQ(cow_->stat("d/e", &attr), 0);
}

TEST_F(LayerTest, AStateDirectoryThatCantBeWrittenIsSaid) {
  sh("mkdir -p " + host_.state_dir() + " && chmod 555 " + host_.state_dir());
  EXPECT_NE(mount_error().find("Permission denied"), std::string::npos);
}

TEST_F(LayerTest, Diff) {
  open();
  write("new", "x");
  write("a/1", "changed");
  ASSERT_EQ(cow_->chmod("f/x", 0700), 0);
  ASSERT_EQ(cow_->unlink("a/b/2"), 0);
  ASSERT_EQ(cow_->rename("d/e", "a/e", 0), 0);
  ASSERT_EQ(cow_->unlink("a/link"), 0);
  ASSERT_EQ(cow_->mkdir("a/link", 0755), 0);
  ASSERT_EQ(cow_->write("t", O_RDWR, 0, ""), 0);  // opened for writing only
  close();
  EXPECT_EQ(diff(),
            "changed /a/1 content\ndeleted /a/b/2\nrenamed /a/e from /d/e\ntype /a/link\n"
            "changed /f/x metadata\nadded /new\n");
  EXPECT_EQ(diff({"/a/b"}), "deleted /a/b/2\n");
  EXPECT_EQ(diff({"/d/fifo"}), "layer work: /d/fifo: nothing is changed there");
  EXPECT_EQ(store_->layers().value.at(0).changes, 6u);
}

TEST_F(LayerTest, WhatWentWithAReplacedDirectoryIsDeleted) {
  sh("cd " + lower_ +
     " && mkdir -p r/sub r/same && echo x > r/sub/x && echo k > r/kept && echo g > r/gone && chmod "
     "644 r/kept"
     " && mkdir s && echo y > s/y && mkdir onto && echo z > onto/z && echo y > onto/y");
  open();
  for (const char* file : {"r/sub/x", "r/kept", "r/gone", "onto/z", "onto/y"}) {
    ASSERT_EQ(cow_->unlink(file), 0) << file;
  }
  for (const char* dir : {"r/sub", "r/same", "r", "onto"}) ASSERT_EQ(cow_->rmdir(dir), 0) << dir;
  ASSERT_EQ(cow_->mkdir("r", 0755), 0);
  ASSERT_EQ(cow_->mkdir("r/same", 0755), 0);
  write("r/kept", "changed");
  write("r/new", "n");
  ASSERT_EQ(cow_->mkdir("onto", 0755), 0);
  ASSERT_EQ(cow_->rename("s", "onto", 0), 0);
  close();
  EXPECT_EQ(diff(),
            "renamed /onto from /s\ndeleted /onto/z from /onto/z\n"
            "changed /r content\ndeleted /r/gone\ndeleted /r/sub\n"
            "changed /r/kept content\nadded /r/new\nchanged /r/same content\n");
  const std::string why =
      "/r: replaced what was there as a whole; name it instead of what is in it";
  EXPECT_EQ(store_->commit("work", {"/r/new"}, {}).error, why);
  EXPECT_EQ(store_->discard("work", {"/r/gone"}).error, why);
  const auto done = store_->commit("work", {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  sh("cd " + lower_ + " && test \"$(ls r onto | tr '\\n' ' ')\" = 'onto: y  r: kept new same '");
  EXPECT_EQ(read_file(lower_ + "/r/kept"), "changed");
}

TEST_F(LayerTest, AnotherNameOfALowerFileIsAddedNotARename) {
  sh("cd " + lower_ + " && echo two > two");
  open();
  ASSERT_EQ(cow_->link("f/x", "link"), 0);
  ASSERT_EQ(cow_->link("d/fifo", "fifo2"), 0);
  ASSERT_EQ(cow_->link("d/fifo", "fifo3"), 0);
  ASSERT_EQ(cow_->link("two", "one"), 0);
  ASSERT_EQ(cow_->link("two", "three"), 0);
  ASSERT_EQ(cow_->unlink("two"), 0);
  ASSERT_EQ(cow_->rename("d/e", "e", 0), 0);
  ASSERT_EQ(cow_->link("e/4", "four"), 0);
  close();
  EXPECT_EQ(diff(),
            "renamed /e from /d/e\nadded /fifo2\nadded /fifo3\nadded /four\nadded /link\n"
            "renamed /one from /two\nadded /three\n");
  EXPECT_EQ(store_->commit("work", {}, {}).error, "");
  sh("cd " + lower_ +
     " && test f/x -ef link && test d/fifo -ef fifo2 && test d/fifo -ef fifo3 && test -p fifo3"
     " && test one -ef three && test ! -e two && test e/4 -ef four && test ! -e d/e");
}

TEST_F(LayerTest, WhatIsWrittenThroughANewNameIsWrittenToTheFile) {
  sh("cd " + lower_ + " && echo one > one && echo two > two && ln two other && echo m > mode");
  open();
  ASSERT_EQ(cow_->link("one", "link"), 0);
  write("link", "through link");
  ASSERT_EQ(cow_->link("two", "second"), 0);
  write("second", "through second");
  ASSERT_EQ(cow_->link("mode", "mode2"), 0);
  ASSERT_EQ(cow_->chmod("mode2", 0600), 0);
  ASSERT_EQ(cow_->mkfifo("pipe"), 0);
  ASSERT_EQ(cow_->link("pipe", "pipe2"), 0);
  ASSERT_EQ(cow_->symlink("s", "text"), 0);
  ASSERT_EQ(cow_->link("s", "s2"), 0);
  close();
  EXPECT_EQ(store_->commit("work", {}, {}).error, "");
  sh("cd " + lower_ +
     " && test one -ef link && test two -ef other && test two -ef second && test mode -ef mode2"
     " && test pipe -ef pipe2 && test -p pipe && test $(stat -c %i s) = $(stat -c %i s2)"
     " && test $(stat -c %a mode) = 600");
  EXPECT_EQ(read_file(lower_ + "/one"), "through link");
  EXPECT_EQ(read_file(lower_ + "/other"), "through second");
}

TEST_F(LayerTest, WhatWentWithAReplacedDirectoryCantStay) {
  sh("cd " + lower_ + " && mkdir r && echo g > r/gone");
  open();
  ASSERT_EQ(cow_->unlink("r/gone"), 0);
  ASSERT_EQ(cow_->rmdir("r"), 0);
  ASSERT_EQ(cow_->mkdir("r", 0755), 0);
  close();
  CommitOptions options;
  options.skip = {"/r/gone"};
  EXPECT_EQ(store_->commit("work", {}, options).error,
            "/r/gone: went with the directory that was replaced, and can't stay without it");
  EXPECT_EQ(read_file(lower_ + "/r/gone"), "g\n");
  EXPECT_EQ(store_->commit("work", {}, {}).error, "");
  EXPECT_NE(access((lower_ + "/r/gone").c_str(), F_OK), 0);
}

TEST_F(LayerTest, CommitMakesTheLowerWhatTheViewWas) {
  open();
  write("new", "x");
  write("a/1", "changed");
  write("t", "linked");
  ASSERT_EQ(cow_->chmod("f/x", 0700), 0);
  ASSERT_EQ(cow_->rename("d/e", "moved", 0), 0);
  ASSERT_EQ(cow_->unlink("d/fifo"), 0);
  ASSERT_EQ(cow_->rename("a/b/c", "d/e", 0), 0);
  ASSERT_EQ(cow_->rename("a/b/2", "two", 0), 0);
  ASSERT_EQ(cow_->rmdir("a/b"), 0);
  ASSERT_EQ(cow_->symlink("a/b", "nowhere"), 0);
  ASSERT_EQ(cow_->link("new", "new2"), 0);
  ASSERT_EQ(cow_->utimens("moved", kOld + 5), 0);
  const auto shown = describe(*cow_);
  close();
  CommitOptions options;
  options.dry_run = true;
  const std::string before = fingerprint(lower_);
  EXPECT_FALSE(store_->commit("work", {}, options).value.applied.empty());
  EXPECT_EQ(fingerprint(lower_), before);
  const auto done = store_->commit("work", {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  NativeCalls native(lower_);
  auto now = describe(native);
  EXPECT_EQ(now.size(), shown.size());
  for (size_t i = 0; i < std::min(now.size(), shown.size()); ++i) {
    // Directories that only got or lost names have the time of the commit.
    if (now[i].find("touched") != std::string::npos) continue;
    EXPECT_EQ(now[i], shown[i]);
  }
  EXPECT_TRUE(store_->layers().value.empty());
}

TEST_F(LayerTest, AFailedChangeLeavesTheDoubtAboutTheOneBefore) {
  open();
  close();
  LayerSpec spec;
  spec.dir = dir();
  spec.name = "work";
  MountError error;
  auto layer = Layer::open(spec, &error);
  ASSERT_NE(layer, nullptr) << error.text;
  ASSERT_EQ(::mkdir((dir() + "/upper/x").c_str(), 0700), 0);
  Transaction first;
  first.test = {HostTest::Kind::kGone, "x", 0};
  first.records = {Record::hide("x", {})};
  ASSERT_TRUE(layer->begin(first));
  ASSERT_EQ(::rmdir((dir() + "/upper/x").c_str()), 0);
  Transaction second;
  second.test = {HostTest::Kind::kGone, "y", 0};
  second.records = {Record::hide("y", {})};
  ASSERT_TRUE(layer->begin(second));
  layer->rollback();
  // What follows without a record of its own must not make the first look undone.
  EXPECT_TRUE(layer->unsettled());
  ASSERT_TRUE(layer->settle());
  ASSERT_EQ(::mkdir((dir() + "/upper/x").c_str(), 0700), 0);
  const std::string log = read_file(dir() + "/log");
  layer.reset();
  write_file(dir() + "/log", log);  // as a kill would have left it
  auto again = Layer::open(spec, &error);
  ASSERT_NE(again, nullptr) << error.text;
  bool hidden = false;
  for (const Transaction& t : again->take_history()) {
    for (const Record& r : t.records) hidden |= r.op == Record::Op::kHide && r.path == "x";
  }
  EXPECT_TRUE(hidden);
}

TEST_F(LayerTest, CommitOfAFileThatItsOwnerCantRead) {
  open();
  ASSERT_EQ(cow_->write("secret", O_WRONLY | O_CREAT, 0, "s"), 0);
  ASSERT_EQ(cow_->chmod("secret", 0), 0);
  close();
  const auto done = store_->commit("work", {"/secret"}, {});
  EXPECT_EQ(done.error, "");
  struct stat st {};
  ASSERT_EQ(::stat((lower_ + "/secret").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0u);
  EXPECT_EQ(st.st_size, 1);
}

TEST_F(LayerTest, CommitWritesThroughAReadOnlyFileOfSeveralNames) {
  sh("cd " + lower_ + " && echo old > r1 && ln r1 r2 && chmod 444 r1");
  open();
  ASSERT_EQ(cow_->chmod("r1", 0644), 0);
  write("r1", "new");
  ASSERT_EQ(cow_->chmod("r1", 0444), 0);
  close();
  EXPECT_EQ(store_->commit("work", {}, {}).error, "");
  EXPECT_EQ(read_file(lower_ + "/r2"), "new");
  struct stat st {};
  ASSERT_EQ(::stat((lower_ + "/r1").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0444u);
  EXPECT_EQ(st.st_nlink, 2u);
}

TEST_F(LayerTest, CommitLeavesDirectoriesThatTheViewDidNotChange) {
  open();
  write("a/1", "changed");
  ASSERT_EQ(cow_->chmod("", 0711), 0);
  close();
  sh("cd " + lower_ + " && chmod 700 a && touch -d 2021-01-01 a");
  struct stat before {};
  ASSERT_EQ(::stat((lower_ + "/a").c_str(), &before), 0);
  EXPECT_EQ(diff(), "changed / metadata\nchanged /a/1 content\n");
  EXPECT_EQ(store_->commit("work", {}, {}).error, "");
  struct stat after {};
  ASSERT_EQ(::stat((lower_ + "/a").c_str(), &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_mtime, before.st_mtime);
  ASSERT_EQ(::stat(lower_.c_str(), &after), 0);
  EXPECT_EQ(after.st_mode & 07777, 0711u);
}

TEST_F(LayerTest, ANewFileGoesOnlyIntoTheDirectoryThatTheViewHad) {
  open();
  write("a/new", "x");
  close();
  sh("cd " + lower_ + " && mv a elsewhere && mkdir a");
  const auto conflicts = store_->commit("work", {}, {}).value.conflicts;
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_EQ(conflicts[0], "/a/new: its directory was replaced underneath");
  sh("cd " + lower_ + " && rmdir a && mv elsewhere a");
  sh("cd " + lower_ + " && test ! -e a/new");
}

TEST_F(LayerTest, AModeChangedOnBothSidesIsAConflict) {
  open();
  ASSERT_EQ(cow_->chmod("a", 0750), 0);
  close();
  sh("chmod 700 " + lower_ + "/a");
  const auto conflicts = store_->commit("work", {}, {}).value.conflicts;
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_EQ(conflicts[0], "/a: has another mode underneath");
}

TEST_F(LayerTest, CommitOfOnePathDiscardOfTheRest) {
  open();
  write("a/1", "changed");
  write("f/x", "changed");
  ASSERT_EQ(cow_->mkdir("dir", 0755), 0);
  write("dir/one", "1");
  write("dir/two", "2");
  close();
  EXPECT_EQ(store_->commit("work", {"/a/1", "/dir/one"}, {}).error, "");
  EXPECT_EQ(read_file(lower_ + "/a/1"), "changed");
  EXPECT_EQ(read_file(lower_ + "/dir/one"), "1");
  EXPECT_EQ(read_file(lower_ + "/f/x"), "x");
  EXPECT_EQ(diff(), "added /dir/two\nchanged /f/x content\n");
  open();
  EXPECT_EQ(read_file(cow_->host("dir/one")), "1");
  EXPECT_EQ(read_file(cow_->host("dir/two")), "2");
  close();
  EXPECT_EQ(store_->discard("work", {"/f/x"}).error, "");
  EXPECT_EQ(diff(), "added /dir/two\n");
  EXPECT_EQ(store_->discard("work", {}).error, "");
  EXPECT_NE(access(dir().c_str(), F_OK), 0);
}

TEST_F(LayerTest, ConflictsAreListedAndNothingIsWritten) {
  open();
  write("a/1", "changed");
  write("new", "x");
  ASSERT_EQ(cow_->unlink("a/b/2"), 0);
  ASSERT_EQ(cow_->unlink("d/e/4"), 0);
  close();
  write_file(lower_ + "/a/1", "by somebody else");
  write_file(lower_ + "/new", "theirs");
  sh("rm -f " + lower_ + "/a/b/2; echo other > " + lower_ + "/a/b/2");
  const std::string before = fingerprint(lower_);
  auto answer = store_->commit("work", {}, {});
  EXPECT_EQ(answer.error, "");
  ASSERT_EQ(answer.value.conflicts.size(), 3u);
  EXPECT_EQ(answer.value.conflicts[0], "/a/1: was changed underneath");
  EXPECT_EQ(answer.value.conflicts[2], "/new: appeared underneath");
  EXPECT_EQ(fingerprint(lower_), before);
  CommitOptions force;
  force.force = true;
  EXPECT_EQ(store_->commit("work", {}, force).error, "");
  EXPECT_EQ(read_file(lower_ + "/a/1"), "changed");
  EXPECT_NE(access((lower_ + "/a/b/2").c_str(), F_OK), 0);
}

TEST_F(LayerTest, CommitFollowsNoLinkOutOfTheTree) {
  open();
  write("a/b/2new", "x");
  close();
  const std::string outside = temp_.path() + "/outside";
  sh("mkdir " + outside + " && mv " + lower_ + "/a/b " + lower_ + "/was && ln -s " + outside + " " +
     lower_ + "/a/b");
  CommitOptions force;
  force.force = true;
  EXPECT_NE(store_->commit("work", {}, force).error, "");
  EXPECT_NE(access((outside + "/2new").c_str(), F_OK), 0);
}

TEST_F(LayerTest, LinkCountsOfDirectoriesAreThoseThatTheViewHad) {
  open();
  ASSERT_EQ(cow_->mkdir("new", 0755), 0);
  ASSERT_EQ(cow_->mkdir("other", 0755), 0);
  ASSERT_EQ(cow_->rename("a/b", "new/b", 0), 0);
  Attr before{};
  ASSERT_EQ(cow_->stat("", &before), 0);
  EXPECT_EQ(before.stx_nlink, 7U);  // a d f new other
  close();
  open();
  Attr after{};
  ASSERT_EQ(cow_->stat("", &after), 0);
  EXPECT_EQ(after.stx_nlink, before.stx_nlink);
  ASSERT_EQ(cow_->stat("new", &after), 0);
  EXPECT_EQ(after.stx_nlink, 3U);
}

}  // namespace
}  // namespace viewsh::viewfs

// What can't be looked at isn't gone: errors other than ENOENT are told, and nothing is done that
// would be right only if it were.
#include "commit_fixture.h"
#include "layer.h"

namespace viewsh::viewfs {
namespace {

/// A directory that nobody may look into, for a while.
class Shut {
 public:
  explicit Shut(std::string path) : path_(std::move(path)) {
    struct stat st {};
    EXPECT_EQ(::stat(path_.c_str(), &st), 0) << path_;
    mode_ = st.st_mode & 07777;
    EXPECT_EQ(::chmod(path_.c_str(), 0), 0) << path_;
  }
  ~Shut() { EXPECT_EQ(::chmod(path_.c_str(), mode_), 0) << path_; }
  Shut(const Shut&) = delete;
  Shut& operator=(const Shut&) = delete;

 private:
  std::string path_;
  mode_t mode_ = 0;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Absence : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() == 0) GTEST_SKIP() << "root may look at everything";
  }
};

/// What was replaced is still removed by --resume when its directory can be looked into again.
TEST_F(Absence, WhatACommitHasToRemoveIsStillThere) {
  CommitCase c;
  const int status = c.commit_in_child([](const char* phase, uint64_t) {
    if (std::string(phase) == "removing") kill(getpid(), SIGKILL);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto record = CommitJournal(c.layer_dir()).read();
  ASSERT_TRUE(record);
  ASSERT_EQ(record->stage, CommitRecord::Stage::kApplied);
  const auto trash = std::find_if(record->trash.begin(), record->trash.end(),
                                  [](const Trash& t) { return !t.dir.empty(); });
  ASSERT_NE(trash, record->trash.end());
  {
    const Shut shut(c.tree() + "/" + trash->dir);
    const auto resumed = c.store().resume_commit("work", {});
    EXPECT_TRUE(has(resumed.error, "Permission denied")) << resumed.error;
    EXPECT_TRUE(has(resumed.error, "viewsh commit --resume cleans up")) << resumed.error;
  }
  EXPECT_TRUE(c.store().layers().value.at(0).unfinished);
  EXPECT_EQ(c.store().resume_commit("work", {}).error, "");
  EXPECT_EQ(differences(c.committed(), c.shown()), "");
  sh("test -z \"$(find " + c.tree() + " -name '.viewsh-commit-*')\"");
}

/// So are the times and modes that directories get last.
TEST_F(Absence, DirectoriesThatACommitHasToFinish) {
  CommitCase c;
  const int status = c.commit_in_child([](const char* phase, uint64_t) {
    if (std::string(phase) == "removing") kill(getpid(), SIGKILL);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  auto record = CommitJournal(c.layer_dir()).read();
  ASSERT_TRUE(record);
  // In a directory without anything to be removed: there the other test has looked.
  std::string parent;
  for (const Finish& f : record->finish) {
    const std::string dir(f.path.substr(0, f.path.rfind('/') + 1));
    const auto in_it = [&](const Trash& t) { return (t.dir + "/").rfind(dir, 0) == 0; };
    if (!dir.empty() && std::none_of(record->trash.begin(), record->trash.end(), in_it)) {
      parent = dir;
    }
  }
  ASSERT_NE(parent, "");
  {
    const Shut shut(c.tree() + "/" + parent);
    const auto resumed = c.store().resume_commit("work", {});
    EXPECT_TRUE(has(resumed.error, "Permission denied")) << resumed.error;
  }
  EXPECT_EQ(c.store().resume_commit("work", {}).error, "");
  EXPECT_EQ(differences(c.committed(), c.shown()), "");
}

/// The first rename into a directory below the top that was made before the commit was killed.
const Rename* made_below(const CommitCase& c, const CommitRecord& record) {
  for (const Rename& r : record.renames) {
    struct stat st {};
    const std::string to = c.tree() + "/" + r.to_dir + "/" + r.to_name;
    if (r.to_dir.empty() || ::lstat(to.c_str(), &st) < 0) continue;
    if (st.st_ino == r.what.ino) return &r;
  }
  return nullptr;
}

/// What was renamed is taken for renamed only if that was seen.
TEST_F(Absence, RenamesOfACommitThatWasCutShort) {
  bool found = false;
  for (uint64_t at = 5; at < 80 && !found; at += 3) {
    CommitCase c;
    const std::string before = c.print();
    uint64_t calls = 0;
    (void)c.commit_in_child([&](const char* phase, uint64_t) {
      if (std::string(phase) == "applying" && ++calls == at) kill(getpid(), SIGKILL);
    });
    const auto record = CommitJournal(c.layer_dir()).read();
    if (!record || record->stage != CommitRecord::Stage::kReady) continue;
    const Rename* rename = made_below(c, *record);
    if (rename == nullptr) continue;
    found = true;
    {
      const Shut shut(c.tree() + "/" + rename->to_dir);
      const auto undone = c.store().undo_commit("work", {});
      EXPECT_TRUE(has(undone.error, "Permission denied")) << undone.error;
    }
    EXPECT_EQ(c.store().undo_commit("work", {}).error, "");
    EXPECT_EQ(c.print(), before);
  }
  EXPECT_TRUE(found);
}

/// A layer and its snapshots stay where it can't be told that there are none.
TEST_F(Absence, SnapshotsOfALayerThatIsCommitted) {
  CommitCase c;
  ASSERT_TRUE(c.store().take_snapshot("work", "one").ok());
  const std::string before = c.print();
  {
    const Shut shut(c.layer_dir() + "/snapshots");
    const auto done = c.store().commit("work", {}, {});
    EXPECT_TRUE(has(done.error, "snapshots: Permission denied")) << done.error;
    EXPECT_TRUE(has(c.store().snapshots("work").error, "Permission denied"));
  }
  EXPECT_EQ(c.print(), before);
  EXPECT_EQ(c.store().snapshots("work").value.size(), 1u);
  EXPECT_EQ(c.store().commit("work", {}, {}).error, "");
  EXPECT_EQ(c.store().snapshots("work").value.size(), 1u);
}

/// A file that a snapshot shares isn't written to where the snapshot can't be read.
TEST_F(Absence, ASnapshotThatSharesAFile) {
  TempDir dir;
  TestHost host(dir.path());
  const std::string lower = dir.path() + "/lower";
  sh("mkdir " + lower);
  { CowCalls(cow_over(lower, host, "work")).write("f", O_WRONLY | O_CREAT, 0644, "first"); }
  const auto store = make_layer_store(host);
  ASSERT_TRUE(store->take_snapshot("work", "one").ok());
  const std::string layer = host.state_dir() + "/layers/work";
  {
    const Shut shut(layer + "/snapshots/one");
    CowCalls cow(cow_over(lower, host, "work"));
    EXPECT_EQ(cow.write("f", O_WRONLY, 0, "second"), EACCES);
  }
  sh("test \"$(cat " + layer + "/upper/f)\" = first");
  CowCalls cow(cow_over(lower, host, "work"));
  EXPECT_EQ(cow.write("f", O_WRONLY, 0, "second"), 0);
}

/// Another layer may stand on it.
TEST_F(Absence, AnotherLayerThatCantBeRead) {
  CommitCase c;
  const std::string other = c.layer_dir() + "/../other";
  sh("mkdir " + other);
  write_file(other + "/layer", header_text({.at = "/", .lower = "/", .over = {"work"}}));
  EXPECT_TRUE(has(c.store().discard("work", {}).error, "other stands on it"));
  {
    const Shut shut(other);
    const auto gone = c.store().discard("work", {});
    EXPECT_TRUE(has(gone.error, "can't be told: Permission denied")) << gone.error;
  }
  EXPECT_EQ(access(c.layer_dir().c_str(), F_OK), 0);
}

/// A restore that was decided isn't thrown away.
TEST_F(Absence, TheNewStateOfARestore) {
  CommitCase c;
  const std::string dir = c.layer_dir();
  sh("cd " + dir + " && mkdir restored && mv upper links log restored");
  {
    const Shut shut(dir + "/restored");
    EXPECT_TRUE(has(c.store().diff("work", {}).error, "Permission denied"));
  }
  EXPECT_EQ(access((dir + "/restored/upper").c_str(), F_OK), 0);
  EXPECT_EQ(c.store().diff("work", {}).error, "");
  EXPECT_NE(access((dir + "/restored").c_str(), F_OK), 0);
}

/// A conflict says what it is.
TEST_F(Absence, RealFilesThatCantBeLookedAt) {
  CommitCase c;
  const Shut shut(c.tree() + "/a");
  const auto done = c.store().commit("work", {}, {});
  ASSERT_FALSE(done.value.conflicts.empty()) << done.error;
  EXPECT_EQ(done.value.conflicts[0], "/a/1: can't be looked at underneath: Permission denied");
}

}  // namespace
}  // namespace viewsh::viewfs

#include <chrono>

#include "cow_driver.h"
#include "layer_shared.h"
#include "layer_snapshot.h"

namespace viewsh::viewfs {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    store_ = make_layer_store(host_);
  }
  void open() { cow_ = std::make_unique<CowCalls>(cow_over(lower_, host_, "work")); }
  void close() { cow_.reset(); }
  std::string dir() const { return host_.state_dir() + "/layers/work"; }
  void write(const std::string& path, const std::string& text) {
    ASSERT_EQ(cow_->write(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, text), 0) << path;
  }
  void take(const std::string& name) {
    const auto answer = store_->take_snapshot("work", name);
    ASSERT_TRUE(answer.ok()) << answer.error;
  }
  std::string restore(const std::string& name) {
    const auto answer = store_->restore("work", name);
    EXPECT_TRUE(answer.ok()) << answer.error;
    EXPECT_TRUE(answer.value.notes.empty());
    return answer.value.kept_as;
  }
  /// What a view of the layer shows.
  std::vector<std::string> shown() {
    open();
    auto out = describe(*cow_);
    close();
    return out;
  }
  /// Changes of all kinds, so that nothing a layer can hold is missing.
  void work() {
    open();
    write("new", "new content");
    write("t", "copied up");
    ASSERT_EQ(cow_->link("new", "a/new-too"), 0);
    ASSERT_EQ(cow_->rename("d", "dd", 0), 0);
    ASSERT_EQ(cow_->unlink("a/1"), 0);
    ASSERT_EQ(cow_->mkdir("m", 0750), 0);
    ASSERT_EQ(cow_->symlink("m/link", "target"), 0);
    ASSERT_EQ(cow_->mkfifo("m/fifo"), 0);
    write("m/locked", "secret");
    ASSERT_EQ(cow_->chmod("m/locked", 0), 0);
    ASSERT_EQ(cow_->setxattr("new", "value"), 0);
    ASSERT_EQ(cow_->utimens("new", kOld), 0);
    ASSERT_EQ(cow_->utimens("m", kOld), 0);
    close();
  }
  /// For cp(1).
  void unlock() {
    open();
    ASSERT_EQ(cow_->chmod("m/locked", 0600), 0);
    close();
  }
  /// And others on top, in place as far as it goes.
  void more_work() {
    open();
    ASSERT_EQ(cow_->write("new", O_WRONLY, 0, "NEW"), 0);
    ASSERT_EQ(cow_->write("t", O_WRONLY | O_APPEND, 0, " and more"), 0);
    ASSERT_EQ(cow_->truncate("f/x", 0), 0);
    ASSERT_EQ(cow_->setxattr("new", "another"), 0);
    ASSERT_EQ(cow_->chmod("m/locked", 0600), 0);
    ASSERT_EQ(cow_->chmod("new", 0755), 0);
    ASSERT_EQ(cow_->utimens("m/link", kOld + 5), 0);
    ASSERT_EQ(cow_->unlink("m/fifo"), 0);
    ASSERT_EQ(cow_->rename("dd", "d2", 0), 0);
    write("a/1", "back again");
    close();
  }
  std::string verify() {
    const auto answer = store_->verify("work", false);
    std::string out = answer.error;
    for (const std::string& line : answer.value.problems) out += line + "\n";
    return out;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
  std::unique_ptr<CowCalls> cow_;
};

TEST_F(SnapshotTest, RestoreGivesEverythingBack) {
  const std::string before = fingerprint(lower_);
  work();
  const auto first = shown();
  take("one");
  EXPECT_EQ(shown(), first) << "a snapshot changes nothing that a view sees";
  more_work();
  const auto second = shown();
  ASSERT_NE(first, second);
  const std::string kept = restore("one");
  EXPECT_EQ(shown(), first);
  EXPECT_EQ(verify(), "");
  restore(kept);
  EXPECT_EQ(shown(), second);
  restore("one");
  EXPECT_EQ(shown(), first);
  EXPECT_EQ(verify(), "");
  EXPECT_EQ(fingerprint(lower_), before);
}

TEST_F(SnapshotTest, AViewNeverWritesToASnapshot) {
  work();
  take("one");
  take("two");
  const std::string content = "find " + dir() +
                              "/snapshots/*/objects -type f | sort | xargs cat | cksum >" +
                              temp_.path() + "/sum";
  sh("chmod -R u+r " + dir() + "/snapshots; " + content);
  const std::string sum = read_file(temp_.path() + "/sum");
  open();
  Attr before{};
  ASSERT_EQ(cow_->stat("new", &before), 0);
  EXPECT_EQ(before.stx_nlink, 2u) << "the names of snapshots don't count";
  const int reader = ::open(cow_->host("new").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(cow_->write("a/new-too", O_WRONLY, 0, "OLD"), 0);
  ASSERT_EQ(cow_->write("t", O_RDWR | O_TRUNC, 0, ""), 0);
  ASSERT_EQ(cow_->truncate("new", 3), 0);
  Attr after{};
  ASSERT_EQ(cow_->stat("new", &after), 0);
  EXPECT_EQ(after.stx_nlink, 2u);
  EXPECT_EQ(after.stx_ino, before.stx_ino);
  char text[16] = {};
  EXPECT_EQ(pread(reader, text, sizeof text, 0), 3) << "an open descriptor sees the write";
  EXPECT_STREQ(text, "OLD");
  ::close(reader);
  close();
  sh(content);
  EXPECT_EQ(read_file(temp_.path() + "/sum"), sum);
}

TEST_F(SnapshotTest, CopiesKeepSharedContentApart) {
  // The links of a copied layer have other inode numbers; they must be found all the same.
  work();
  unlock();
  take("one");
  sh("cp -a " + dir() + " " + dir() + ".copy && rm -rf " + dir() + " && mv " + dir() + ".copy " +
     dir());
  open();
  write("new", "changed");
  close();
  restore("one");
  open();
  EXPECT_EQ(read_file(cow_->host("new")), "new content");
}

TEST_F(SnapshotTest, NamesAndHistory) {
  work();
  for (const char* name : {"", ".hidden", "a/b", "a@b", "a..b"}) {
    EXPECT_FALSE(store_->take_snapshot("work", name).ok()) << name;
  }
  take("one");
  EXPECT_NE(store_->take_snapshot("work", "one").error.find("exists already"), std::string::npos);
  const auto list = store_->snapshots("work");
  ASSERT_EQ(list.value.size(), 1u);
  EXPECT_EQ(list.value[0].name, "one");
  EXPECT_EQ(list.value[0].changes, store_->diff("work", {}).value.size());
  EXPECT_NE(store_->restore("work", "two").error.find("no such snapshot"), std::string::npos);
  EXPECT_NE(store_->delete_snapshot("work", "two").error.find("no such"), std::string::npos);
  EXPECT_TRUE(store_->delete_snapshot("work", "one").ok());
  EXPECT_TRUE(store_->snapshots("work").value.empty());
  EXPECT_FALSE(store_->take_snapshot("nolayer", "x").ok());
}

TEST_F(SnapshotTest, RefusedWhileInUse) {
  work();
  take("one");
  open();
  for (const std::string& why :
       {store_->take_snapshot("work", "x").error, store_->restore("work", "one").error,
        store_->delete_snapshot("work", "one").error, store_->verify("work", true).error}) {
    EXPECT_NE(why.find("in use by view view-7"), std::string::npos) << why;
  }
}

std::string lines(const LayerStore::Answer<std::vector<Change>>& answer) {
  if (!answer.ok()) return answer.error;
  std::string out;
  for (const Change& c : answer.value) {
    out += "+~-RT"[static_cast<int>(c.kind)] + c.path + (c.content ? " content" : "") +
           (c.metadata ? " metadata" : "") + "\n";
  }
  return out;
}

TEST_F(SnapshotTest, DiffOfASnapshotIsThatOfTheLayerThen) {
  work();
  const std::string then = lines(store_->diff("work", {}));
  take("one");
  more_work();
  EXPECT_EQ(lines(store_->diff_snapshot("work", "one", {})), then);
  EXPECT_NE(lines(store_->diff("work", {})), then);
  EXPECT_EQ(lines(store_->diff_snapshot("work", "one", {"/m"})),
            "+/m\n+/m/fifo\n+/m/link\n+/m/locked\n");
}

TEST_F(SnapshotTest, DiffBetween) {
  work();
  take("one");
  take("same");
  EXPECT_EQ(lines(store_->diff_between("work", "one", "same", {})), "");
  more_work();
  take("two");
  const std::string expected =
      "+/a/1\n~/a/new-too content metadata\n+/d2\n+/d2/e\n+/d2/e/4\n+/d2/empty\n+/d2/fifo\n"
      "+/d2/hard\n-/dd\n~/f/x content\n-/m/fifo\n~/m/link metadata\n~/m/locked metadata\n"
      "~/new content metadata\n~/t content\n";
  EXPECT_EQ(lines(store_->diff_between("work", "one", "two", {})), expected);
  EXPECT_EQ(lines(store_->diff_between("work", "one", "", {})), expected);
  EXPECT_EQ(lines(store_->diff_between("work", "two", "one", {"/a"})),
            "-/a/1\n~/a/new-too content metadata\n");
}

TEST_F(SnapshotTest, CommitOfEverythingKeepsSnapshots) {
  work();
  take("one");
  ASSERT_EQ(store_->commit("work", {"/new", "/a/new-too"}, {}).error, "");
  more_work();
  restore("one");
  CommitOptions options;
  options.force = true;
  ASSERT_EQ(store_->commit("work", {}, options).error, "");
  EXPECT_EQ(lines(store_->diff("work", {})), "");
  EXPECT_EQ(store_->snapshots("work").value.size(), 2u);
  ASSERT_TRUE(store_->discard("work", {}).ok());
  EXPECT_NE(access(dir().c_str(), F_OK), 0) << "discard takes the snapshots, too";
}

/// A child that is killed at a moment of its own; then the layer is one state or the other.
void killed_after(const std::function<void()>& work, int microseconds) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  usleep(static_cast<useconds_t>(microseconds));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

TEST_F(SnapshotTest, KilledAtAnyMoment) {
  work();
  const auto first = shown();
  take("one");
  more_work();
  const auto second = shown();
  // How long one takes here, so that the kills are spread over all of it.
  const auto start = std::chrono::steady_clock::now();
  restore("one");
  const auto took = std::chrono::steady_clock::now() - start;
  const int whole =
      static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  more_work();
  int was_first = 0;
  // On a machine that is busy by now it may take longer: until one got through.
  int rounds = 0;
  for (int i = 0; i < 60 || (was_first == 0 && i < 600); ++i, ++rounds) {
    const int moment = whole * i / 45;
    const std::string name = "k" + std::to_string(i);
    killed_after([&] { (void)store_->take_snapshot("work", name); }, moment / 2);
    killed_after([&] { (void)store_->restore("work", "one"); }, moment);
    const auto now = shown();
    EXPECT_TRUE(now == first || now == second) << i;
    EXPECT_EQ(verify(), "") << i;
    for (const auto& s : store_->snapshots("work").value) EXPECT_EQ(s.damage, "") << s.name;
    if (now != first) continue;
    ++was_first;
    more_work();
  }
  EXPECT_GT(was_first, 0);
  printf("restored in %d of %d\n", was_first, rounds);
}

/// The state after each single step of a restore, made by hand.
TEST_F(SnapshotTest, ADecidedRestoreIsEnded) {
  work();
  unlock();
  const auto first = shown();
  sh("cp -a " + dir() + " " + temp_.path() + "/old");
  more_work();
  const std::string old = temp_.path() + "/old";
  const std::string next = dir() + "/restored";
  const std::vector<std::string> steps = {"true",
                                          "mv " + dir() + "/upper " + next + "/old-upper",
                                          "mv " + next + "/upper " + dir() + "/upper",
                                          "mv " + dir() + "/links " + next + "/old-links",
                                          "mv " + next + "/links " + dir() + "/links",
                                          "mv " + next + "/log " + dir() + "/log"};
  for (size_t done = 0; done < steps.size(); ++done) {
    sh("mkdir " + next + " && cp -a " + old + "/upper " + old + "/links " + old + "/log " + next);
    for (size_t i = 0; i <= done; ++i) sh(steps[i]);
    EXPECT_NE(verify().find("cut short"), std::string::npos);
    // A look from outside is enough.
    EXPECT_EQ(store_->diff("work", {}).error, "");
    EXPECT_NE(access(next.c_str(), F_OK), 0);
    EXPECT_EQ(shown(), first) << done;
    more_work();
  }
}

TEST_F(SnapshotTest, AFullOrForeignFileSystemIsALine) {
  work();
  // A directory that can't be written to stands for one that is full or read-only.
  ASSERT_EQ(::mkdir((dir() + "/snapshots").c_str(), 0500), 0);
  if (geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  const auto first = shown();
  EXPECT_NE(store_->take_snapshot("work", "x").error.find("Permission denied"), std::string::npos);
  EXPECT_EQ(shown(), first);
}

TEST_F(SnapshotTest, ADamagedSnapshotIsToldAndNotRestored) {
  work();
  take("one");
  const auto first = shown();
  const std::string tree = dir() + "/snapshots/one/tree";
  const std::string good = read_file(tree);
  for (size_t i = 0; i < good.size(); i += 7) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    write_file(tree, i % 2 == 0 ? bad : good.substr(0, i));
    const auto answer = store_->restore("work", "one");
    EXPECT_NE(answer.error.find("snapshot one: its"), std::string::npos) << i << answer.error;
    EXPECT_NE(verify(), "");
  }
  EXPECT_EQ(shown(), first);
  EXPECT_NE(store_->snapshots("work").value[0].damage, "");
  write_file(tree, good);
  sh("rm " + dir() + "/snapshots/one/objects/2");
  EXPECT_NE(verify().find("objects/2"), std::string::npos);
  EXPECT_FALSE(store_->restore("work", "one").ok());
  EXPECT_EQ(shown(), first);
}

}  // namespace
}  // namespace viewsh::viewfs

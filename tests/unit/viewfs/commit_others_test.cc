// What others did to the lower between the kill of a commit and its end is not lost.
#include <glob.h>

#include "commit_fixture.h"

namespace viewsh::viewfs {
namespace {

/// A tree, a layer that changes it, and a commit of some of that which is killed at a step.
class Interrupted {
 public:
  Interrupted() : host_(dir_.path()), tree_(dir_.path() + "/tree") {
    umask(022);
    sh("mkdir -p " + tree_ + "/d && cd " + tree_ +
       " && echo orig >f && echo 1 >g && echo k >d/k && echo m >m && for i in a b c; do echo "
       "orig >$i; ln $i d/$i; done; find . -exec touch -h -d @1000000000 {} +");
    store_ = make_layer_store(host_);
    CowCalls cow(cow_over(tree_, host_, "work"));
    for (const char* name : {"f", "g", "a", "b", "new"}) put(&cow, name);
    EXPECT_EQ(cow.chmod("c", 0600), 0);
    EXPECT_EQ(cow.mkdir("n", 0755), 0);
    EXPECT_EQ(cow.mkdir("n/in", 0755), 0);
    for (const char* name : {"n/x", "n/in/y"}) put(&cow, name);
    EXPECT_EQ(cow.rename("m", "n/m", 0), 0);
    EXPECT_EQ(cow.unlink("d/k"), 0);
  }

  /// `at`: so many changes are made when it is killed.
  void kill_commit(const std::vector<std::string>& paths, uint64_t at) {
    const pid_t pid = fork();
    if (pid == 0) {
      CommitOptions options;
      options.progress = [&](const char* phase, uint64_t done, uint64_t) {
        if (std::string(phase) == "applying" && done == at) kill(getpid(), SIGKILL);
      };
      const auto answer = store_->commit("work", paths, options);
      fprintf(stderr, "not killed: %s\n", answer.error.c_str());
      _exit(1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  void sh_there(const std::string& command) const { sh("cd " + tree_ + " && " + command); }
  std::string undo() { return store_->undo_commit("work", {}).error; }
  std::string resume() { return store_->resume_commit("work", {}).error; }
  LayerStore& store() { return *store_; }
  std::string layer_dir() const { return host_.state_dir() + "/layers/work"; }
  std::string content(const std::string& name) const { return read_file(tree_ + "/" + name); }
  bool there(const std::string& name) const {
    return access((tree_ + "/" + name).c_str(), F_OK) == 0;
  }
  /// Names of the commit that are left.
  size_t left() const {
    glob_t found{};
    const bool any = ::glob((tree_ + "/.viewsh-commit-*").c_str(), 0, nullptr, &found) == 0;
    const size_t out = any ? found.gl_pathc : 0;
    globfree(&found);
    return out;
  }
  void expect_stopped(const std::string& why, const std::string& name, const char* more = "") {
    EXPECT_NE(why.find("/" + name + ": was changed underneath while it was committed"),
              std::string::npos)
        << why;
    EXPECT_NE(why.find(more), std::string::npos) << why;
    EXPECT_TRUE(store_->layers().value.at(0).unfinished);
  }

 private:
  static void put(CowCalls* cow, const std::string& path) {
    EXPECT_EQ(cow->write(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, "layer\n"), 0) << path;
  }

  TempDir dir_;
  TestHost host_;
  std::string tree_;
  std::unique_ptr<LayerStore> store_;
};

TEST(CommitAndOthers, UndoDoesNotLoseWhatAReplacedFileHad) {
  Interrupted c;
  c.kill_commit({"/f"}, 1);
  EXPECT_EQ(c.content("f"), "layer\n");
  c.sh_there("printf 'layer\\nmine\\n' >f.new && mv f.new f");
  c.expect_stopped(c.undo(), "f", ".viewsh-commit-");
  EXPECT_EQ(c.content("f"), "layer\nmine\n");
  EXPECT_EQ(c.left(), 1u);
  c.sh_there("mv f mine");
  EXPECT_EQ(c.undo(), "");
  EXPECT_EQ(c.content("f"), "orig\n");
  EXPECT_EQ(c.content("mine"), "layer\nmine\n");
  EXPECT_EQ(c.left(), 0u);
}

TEST(CommitAndOthers, UndoBringsBackWhatARemovedFileHad) {
  Interrupted c;
  c.kill_commit({"/f"}, 1);
  c.sh_there("rm f");
  EXPECT_EQ(c.undo(), "");
  EXPECT_EQ(c.content("f"), "orig\n");
  EXPECT_EQ(c.left(), 0u);
}

TEST(CommitAndOthers, ResumeKeepsWhatReplacedOrRemovedAFile) {
  for (const char* what : {"echo mine >x && mv x f", "rm f", "echo mine >f"}) {
    Interrupted c;
    c.kill_commit({"/f"}, 1);
    c.sh_there(what);
    EXPECT_EQ(c.resume(), "") << what;
    EXPECT_EQ(c.there("f") ? c.content("f") : "", std::string(what) == "rm f" ? "" : "mine\n");
    EXPECT_EQ(c.left(), 0u);
  }
}

TEST(CommitAndOthers, UndoDoesNotLoseWhatWasWrittenToANewFile) {
  Interrupted c;
  c.kill_commit({"/f", "/new"}, 2);
  c.sh_there("echo mine >x && mv x f && echo mine >y && mv y new");
  c.expect_stopped(c.undo(), "f");
  EXPECT_EQ(c.content("f"), "mine\n");
  c.sh_there("mv f mine");
  EXPECT_EQ(c.undo(), "");
  EXPECT_EQ(c.content("f"), "orig\n");
  EXPECT_EQ(c.content("new"), "mine\n");
}

TEST(CommitAndOthers, UndoDoesNotLoseWhatIsNewInANewDirectory) {
  for (const char* name : {"n/mine", "n/in/mine"}) {
    Interrupted c;
    c.kill_commit({"/n"}, 3);
    EXPECT_EQ(c.content("n/in/y") + c.content("n/m"), "layer\nm\n");
    c.sh_there("echo mine >" + std::string(name));
    c.expect_stopped(c.undo(), "n");
    EXPECT_EQ(c.content(name), "mine\n");
    c.sh_there("mv " + std::string(name) + " mine");
    EXPECT_EQ(c.undo(), "");
    EXPECT_EQ(c.content("mine") + c.content("m"), "mine\nm\n");
    EXPECT_FALSE(c.there("n"));
    EXPECT_EQ(c.left(), 0u);
  }
}

TEST(CommitAndOthers, WhatWasWrittenToAFileInPlaceStays) {
  for (uint64_t at : {0, 1, 2}) {
    SCOPED_TRACE("killed at change " + std::to_string(at));
    Interrupted c;
    c.kill_commit({"/a", "/b"}, at);
    c.sh_there("echo mine >>b");
    const std::string both = c.content("b");
    if (at == 0) c.expect_stopped(c.resume(), "b", ".viewsh-commit-");
    c.expect_stopped(c.undo(), "b", ".viewsh-commit-");
    EXPECT_EQ(c.content("b"), both);
    c.sh_there("cat b >mine; cat .viewsh-commit-*-2 >b");
    EXPECT_EQ(c.undo(), "");
    EXPECT_EQ(c.content("a") + c.content("b") + c.content("d/b"), "orig\norig\norig\n");
    EXPECT_EQ(c.content("mine"), both);
    EXPECT_EQ(c.left(), 0u);
  }
}

TEST(CommitAndOthers, HalfAFileInPlaceIsOurs) {
  for (const bool resume : {true, false}) {
    Interrupted c;
    c.kill_commit({"/a", "/b"}, 1);
    c.sh_there("printf lay >b");  // as a kill in the middle leaves it
    EXPECT_EQ(resume ? c.resume() : c.undo(), "");
    EXPECT_EQ(c.content("b"), resume ? "layer\n" : "orig\n");
  }
}

TEST(CommitAndOthers, WhatWasWrittenWhereOnlyAttributesChangeStays) {
  Interrupted c;
  c.kill_commit({"/c", "/g"}, 1);
  c.sh_there("echo mine >>c");
  EXPECT_EQ(c.undo(), "");
  EXPECT_EQ(c.content("c"), "orig\nmine\n");
  c.sh_there("test $(stat -c %a c) = 644 && test $(stat -c %Y c) -gt 1000000000");
}

TEST(CommitAndOthers, RepairLeavesAnUnfinishedCommitAlone) {
  Interrupted c;
  c.kill_commit({"/n", "/f"}, 2);
  const std::string log = read_file(c.layer_dir() + "/log");
  for (const bool repair : {false, true}) {
    const auto is = c.store().verify("work", repair);
    ASSERT_EQ(is.value.problems.size(), 1u);
    EXPECT_NE(is.value.problems[0].find("viewsh commit --resume work"), std::string::npos);
    EXPECT_TRUE(is.value.repaired.empty());
  }
  EXPECT_EQ(read_file(c.layer_dir() + "/log"), log);
  EXPECT_EQ(c.undo(), "");
  EXPECT_TRUE(c.store().verify("work", false).value.problems.empty());
}

/// Whichever line is damaged, nothing is lost, and the layer can be used again.
TEST(CommitAndOthers, ADamagedJournalIsTakenBackAsFarAsItGoes) {
  size_t whole = 0;
  for (size_t damaged = 0;; ++damaged) {
    SCOPED_TRACE("line " + std::to_string(damaged));
    Interrupted c;
    c.kill_commit({"/f", "/a", "/n"}, 4);
    const std::string before = c.content("f") + c.content("a");
    const std::string file = c.layer_dir() + "/commit";
    std::string text = read_file(file);
    size_t at = 0;
    for (size_t i = 0; i < damaged && at != std::string::npos; ++i) {
      at = text.find('\n', at + (i == 0 ? 0 : 1));
    }
    at = damaged == 0 ? 0 : at + 1;
    if (damaged != 0 && text.find('\n', text.find('\n', at) + 1) == std::string::npos) break;
    text[at + 12] = static_cast<char>(text[at + 12] ^ 1);
    write_file(file, text);
    EXPECT_NE(c.undo().find("is damaged: viewsh layers --repair work"), std::string::npos);
    EXPECT_NE(c.resume().find("is damaged"), std::string::npos);
    const auto told = c.store().verify("work", false).value.problems;
    EXPECT_GE(told.size(), 2u) << "names that are left";
    const auto report = c.store().verify("work", true);
    EXPECT_EQ(report.error, "");
    EXPECT_FALSE(report.value.repaired.empty());
    EXPECT_FALSE(c.store().layers().value.at(0).unfinished);
    const size_t left = c.left();
    whole += left == 0 ? 1 : 0;
    size_t named = 0;
    for (const std::string& line : report.value.problems) {
      named += line.find("is left of the commit") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(named, left);
    if (left == 0) {
      EXPECT_EQ(c.content("f") + c.content("a") + c.content("m"), "orig\norig\nm\n");
    }
    // What each had is there under one name or another.
    c.sh_there("test $(cat f .viewsh-commit-* 2>&1 | grep -c orig) -ge 1");
    c.sh_there("test $(cat a .viewsh-commit-* 2>&1 | grep -c orig) -ge 1");
    c.sh_there("grep -rqx m .");
    EXPECT_TRUE(c.store().discard("work", {}).ok());
  }
  EXPECT_GT(whole, 4u);
}

TEST(CommitAndOthers, AnEmptyPathNamesNothing) {
  Interrupted c;
  EXPECT_EQ(c.store().commit("work", {""}, {}).error, "an empty path names nothing");
  EXPECT_EQ(c.store().discard("work", {""}).error, "an empty path names nothing");
  EXPECT_EQ(c.store().diff("work", {"/f", ""}).error, "an empty path names nothing");
  EXPECT_EQ(c.content("f"), "orig\n");
}

/// Renames between the layer and the tree alone.
TEST(CommitAndOthers, WhatCameOutOfTheLayerAndIsGoneIsTakenBackAllTheSame) {
  TempDir dir;
  TestHost host(dir.path());
  const std::string tree = dir.path() + "/tree";
  sh("mkdir " + tree + " && echo orig >" + tree + "/f && touch -d @1000000000 " + tree + "/f");
  const auto store = make_layer_store(host);
  {
    CowCalls cow(cow_over(tree, host, "work"));
    for (const char* name : {"f", "new"}) {
      EXPECT_EQ(cow.write(name, O_WRONLY | O_CREAT | O_TRUNC, 0644, "layer"), 0);
    }
  }
  const pid_t pid = fork();
  if (pid == 0) {
    CommitOptions options;
    options.progress = [&](const char* phase, uint64_t done, uint64_t total) {
      if (std::string(phase) == "applying" && done == total) kill(getpid(), SIGKILL);
    };
    _exit(store->commit("work", {}, options).ok() ? 0 : 1);
  }
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(read_file(tree + "/f"), "layer");
  sh("cd " + tree + " && rm f && echo mine >x && mv x new");
  EXPECT_EQ(store->undo_commit("work", {}).error, "");
  EXPECT_EQ(read_file(tree + "/f") + read_file(tree + "/new"), "orig\nmine\n");
}

}  // namespace
}  // namespace viewsh::viewfs

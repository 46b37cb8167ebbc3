// A commit is done or not done, whatever happens to it.
#include <random>

#include "commit_fixture.h"

namespace viewsh::viewfs {
namespace {

/// No temporary name of a commit is left anywhere.
void expect_tidy(const CommitCase& c) {
  sh("test -z \"$(find " + c.tree() + " -name '.viewsh-commit-*')\"");
}

TEST(Commit, MakesTheLowerWhatTheViewShowed) {
  CommitCase c;
  const auto done = c.store().commit("work", {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  EXPECT_EQ(differences(c.committed(), c.shown()), "");
  expect_tidy(c);
  EXPECT_TRUE(c.store().layers().value.empty());
  struct stat one {};
  struct stat other {};
  ASSERT_EQ(::stat((c.tree() + "/h1").c_str(), &one), 0);
  ASSERT_EQ(::stat((c.tree() + "/opq/y/keep/h3").c_str(), &other), 0);
  EXPECT_EQ(one.st_ino, other.st_ino);
  EXPECT_EQ(read_file(c.tree() + "/h2"), "all three names");
}

/// After a kill: what the layer says of itself, then it is resumed or undone.
void recover(CommitCase* c, const std::string& before, bool resume, const std::string& where) {
  SCOPED_TRACE(where + (resume ? ", resumed" : ", undone"));
  if (access((c->layer_dir() + "/commit").c_str(), F_OK) != 0) {
    // Before the journal nothing is done, and with the layer it ends.
    const bool there = access(c->layer_dir().c_str(), F_OK) == 0;
    if (there) {
      EXPECT_EQ(c->print(), before);
    } else {
      // Of a layer that was being removed the rest goes with the next command.
      EXPECT_TRUE(c->store().layers().value.empty());
      EXPECT_EQ(differences(c->committed(), c->shown()), "");
    }
    return;
  }
  EXPECT_NE(c->store().diff("work", {}).error.find("viewsh commit --resume work"),
            std::string::npos);
  EXPECT_TRUE(c->store().layers().value.at(0).unfinished);
  const auto record = CommitJournal(c->layer_dir()).read();
  ASSERT_TRUE(record);
  const bool applied = record->stage == CommitRecord::Stage::kApplied;
  if (resume || applied) {
    if (applied && !resume) {
      EXPECT_NE(c->store().undo_commit("work", {}).error.find("committed already"),
                std::string::npos);
    }
    const auto resumed = c->store().resume_commit("work", {});
    EXPECT_EQ(resumed.error, "");
    EXPECT_EQ(resumed.value.conflicts, std::vector<std::string>());
    EXPECT_EQ(differences(c->committed(), c->shown()), "");
    EXPECT_TRUE(c->store().layers().value.empty());
  } else {
    EXPECT_EQ(c->store().undo_commit("work", {}).error, "");
    EXPECT_EQ(c->print(), before);
    const auto again = c->store().commit("work", {}, {});
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(again.value.conflicts, std::vector<std::string>());
    EXPECT_EQ(differences(c->committed(), c->shown()), "");
  }
  expect_tidy(*c);
}

TEST(Commit, KilledAtEachStepIsResumedOrUndone) {
  bool over = false;
  for (uint64_t at = 1; !over && !testing::Test::HasFailure(); ++at) {
    CommitCase c;
    const std::string before = c.print();
    uint64_t calls = 0;
    const int status = c.commit_in_child([&](const char*, uint64_t) {
      if (++calls == at) kill(getpid(), SIGKILL);
    });
    over = WIFEXITED(status);
    if (over) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      EXPECT_GT(at, 40u) << "there are more steps than that";
    }
    recover(&c, before, at % 2 == 0, "killed at step " + std::to_string(at));
  }
}

TEST(Commit, KilledTwiceIsResumedOrUndone) {
  for (uint64_t at = 30; at < 60 && !testing::Test::HasFailure(); at += 3) {
    CommitCase c;
    const std::string before = c.print();
    uint64_t calls = 0;
    const auto dies = [&](const char*, uint64_t) {
      if (++calls == at) kill(getpid(), SIGKILL);
    };
    if (WIFEXITED(c.commit_in_child(dies))) continue;
    const pid_t pid = fork();
    if (pid == 0) {
      CommitOptions options;
      uint64_t more = 0;
      options.progress = [&](const char*, uint64_t, uint64_t) {
        if (++more == at % 7 + 1) kill(getpid(), SIGKILL);
      };
      (void)(at % 2 == 0 ? c.store().resume_commit("work", options).error
                         : c.store().undo_commit("work", options).error);
      _exit(0);
    }
    waitpid(pid, nullptr, 0);
    recover(&c, before, at % 2 == 0, "killed twice, first at " + std::to_string(at));
  }
}

TEST(Commit, KilledAtAnyMomentIsResumedOrUndone) {
  std::mt19937 random(7);
  for (int i = 0; i < 20 && !testing::Test::HasFailure(); ++i) {
    CommitCase c;
    const std::string before = c.print();
    const auto wait = static_cast<useconds_t>(random() % 12000);
    const pid_t pid = fork();
    if (pid == 0) _exit(c.store().commit("work", {}, {}).ok() ? 0 : 1);
    usleep(wait);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    recover(&c, before, i % 2 == 0, "killed after " + std::to_string(wait) + " us");
  }
}

TEST(Commit, AJournalThatWasCutShortIsTakenBack) {
  CommitCase c;
  const std::string before = c.print();
  write_file(c.layer_dir() + "/commit", "viewsh");
  EXPECT_NE(c.store().commit("work", {}, {}).error.find("cut short"), std::string::npos);
  EXPECT_EQ(c.store().undo_commit("work", {}).error, "");
  EXPECT_EQ(c.print(), before);
  EXPECT_NE(c.store().undo_commit("work", {}).error.find("no commit of it is unfinished"),
            std::string::npos);
  EXPECT_EQ(c.store().commit("work", {}, {}).error, "");
}

TEST(Commit, WhatChangesMeanwhileStopsItAndNothingIsWritten) {
  for (uint64_t at = 0; at < 12 && !testing::Test::HasFailure(); ++at) {
    SCOPED_TRACE("at change " + std::to_string(at));
    CommitCase c;
    CommitOptions options;
    const std::string file = c.tree() + "/a/1";
    options.progress = [&](const char* phase, uint64_t done, uint64_t) {
      if (std::string(phase) == "preparing" && done == at + 1) write_file(file, "somebody's");
    };
    const auto answer = c.store().commit("work", {}, options);
    EXPECT_NE(answer.error.find("/a/1: was changed underneath"), std::string::npos) << answer.error;
    EXPECT_NE(answer.error.find("nothing was written"), std::string::npos);
    EXPECT_EQ(read_file(file), "somebody's");
    EXPECT_EQ(access((c.tree() + "/new").c_str(), F_OK), -1);
    EXPECT_EQ(read_file(c.tree() + "/h2"), "h\n");
    expect_tidy(c);
    EXPECT_EQ(c.store().layers().value.at(0).unfinished, false);
  }
}

TEST(Commit, WhatIsWrittenInPlaceIsTakenBack) {
  bool over = false;
  for (uint64_t at = 1; !over && !testing::Test::HasFailure(); ++at) {
    SCOPED_TRACE("killed at step " + std::to_string(at));
    CommitCase c(true);
    const std::string before = c.print();
    uint64_t calls = 0;
    const int status = c.commit_in_child([&](const char*, uint64_t) {
      if (++calls == at) kill(getpid(), SIGKILL);
    });
    over = WIFEXITED(status);
    const auto record = CommitJournal(c.layer_dir()).read();
    if (!over && record && record->stage != CommitRecord::Stage::kApplied) {
      EXPECT_EQ(c.store().undo_commit("work", {}).error, "");
      EXPECT_EQ(c.print(), before);
      const auto again = c.store().commit("work", {}, {});
      EXPECT_EQ(again.error, "");
      EXPECT_EQ(again.value.conflicts, std::vector<std::string>());
    } else if (!over && record) {
      EXPECT_EQ(c.store().resume_commit("work", {}).error, "");
    }
    for (const char* name : {"/h1", "/h2", "/keep/h3", "/t", "/d/hard"}) {
      EXPECT_EQ(read_file(c.tree() + name), "all three names") << name;
    }
    struct stat st {};
    ASSERT_EQ(::stat((c.tree() + "/a/hard").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    expect_tidy(c);
  }
}

TEST(Commit, AFullDiskTakesEverythingBack) {
  CommitCase c(true);
  const std::string before = c.print();
  const pid_t pid = fork();
  if (pid == 0) {
    CommitOptions options;
    signal(SIGXFSZ, SIG_IGN);
    options.progress = [](const char* phase, uint64_t done, uint64_t) {
      const rlimit limit{10, 10};  // bytes in a file
      if (std::string(phase) == "applying" && done == 0) setrlimit(RLIMIT_FSIZE, &limit);
    };
    const auto answer = c.store().commit("work", {}, options);
    _exit(answer.error.find("File too large; nothing was written") != std::string::npos ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(c.print(), before);
  expect_tidy(c);
}

/// Files and nothing else, so that each change is one rename. Killed after so many of them.
void kill_among_files(uint64_t at, bool resume) {
  SCOPED_TRACE("killed at step " + std::to_string(at) + (resume ? ", resumed" : ", undone"));
  TempDir dir;
  TestHost host(dir.path());
  const std::string tree = dir.path() + "/tree";
  sh("mkdir -p " + tree + "/d && cd " + tree +
     "/d && for i in 1 2 3 4 5 6 7 8; do echo old $i >f$i; done && touch -d @1000000000 . *");
  const auto store = make_layer_store(host);
  {
    CowCalls cow(cow_over(tree, host, "work"));
    for (const char* name : {"d/f1", "d/f2", "d/new", "d/new2"}) {
      EXPECT_EQ(cow.write(name, O_WRONLY | O_CREAT | O_TRUNC, 0644, "new content"), 0) << name;
    }
    EXPECT_EQ(cow.unlink("d/f3"), 0);
    EXPECT_EQ(cow.unlink("d/f4"), 0);
    EXPECT_EQ(cow.chmod("d/f5", 0600), 0);
  }
  const std::string layer = host.state_dir() + "/layers/work";
  const std::string before = CommitCase::print_of(tree);
  const std::string upper = CommitCase::print_of(layer + "/upper");
  const pid_t pid = fork();
  if (pid == 0) {
    CommitOptions options;
    options.progress = [&](const char* phase, uint64_t done, uint64_t) {
      if (std::string(phase) == "applying" && done == at) kill(getpid(), SIGKILL);
    };
    _exit(store->commit("work", {}, options).ok() ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto record = CommitJournal(layer).read();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->direct.size(), 6u);
  EXPECT_TRUE(record->renames.empty() && record->trash.empty() && record->temps.empty());
  if (!resume) {
    EXPECT_EQ(store->undo_commit("work", {}).error, "");
    EXPECT_EQ(CommitCase::print_of(tree), before);
    EXPECT_EQ(CommitCase::print_of(layer + "/upper"), upper);
    EXPECT_NE(access((layer + "/replaced").c_str(), F_OK), 0);
    EXPECT_EQ(store->commit("work", {}, {}).error, "");
  } else {
    EXPECT_EQ(store->resume_commit("work", {}).error, "");
  }
  EXPECT_EQ(read_file(tree + "/d/f1") + read_file(tree + "/d/new2"), "new contentnew content");
  EXPECT_NE(access((tree + "/d/f3").c_str(), F_OK), 0);
  sh("test $(ls " + tree + "/d | wc -l) = 8");
  EXPECT_TRUE(store->layers().value.empty());
}

TEST(Commit, KilledAmongRenamesOutOfTheLayerIsResumedOrUndone) {
  for (uint64_t at = 0; at <= 7 && !testing::Test::HasFailure(); ++at) {
    kill_among_files(at, true);
    kill_among_files(at, false);
  }
}

TEST(Commit, SelectedByPatternKeptAndDropped) {
  CommitCase c;
  CommitOptions options;
  options.theirs = {"/a/1"};
  options.skip = {"/type/*"};
  EXPECT_EQ(c.store().commit("work", {"/a/1", "/ty*", "/**/x", "/q"}, options).error, "");
  EXPECT_EQ(read_file(c.tree() + "/a/1"), "one\n");
  EXPECT_EQ(read_file(c.tree() + "/q"), "q");
  struct stat st {};
  ASSERT_EQ(::stat((c.tree() + "/f/x").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat((c.tree() + "/type").c_str(), &st), 0);
  EXPECT_TRUE(S_ISDIR(st.st_mode));
  EXPECT_EQ(access((c.tree() + "/type/in").c_str(), F_OK), -1);
  const auto left = c.store().diff("work", {}).value;
  std::set<std::string> paths;
  for (const Change& change : left) paths.insert(change.path);
  EXPECT_EQ(paths.count("/a/1") + paths.count("/q") + paths.count("/type"), 0u);
  EXPECT_EQ(paths.count("/type/in"), 1u);
  EXPECT_EQ(c.store().commit("work", {"/nothing*"}, {}).error,
            "layer work: /nothing*: nothing is changed there");
  EXPECT_NE(c.store().commit("work", {"/h1"}, {}).error.find("is the same file as"),
            std::string::npos);
  EXPECT_EQ(c.store().commit("work", {}, {}).error, "");
  EXPECT_EQ(read_file(c.tree() + "/type/in"), "t");
  EXPECT_EQ(read_file(c.tree() + "/opq/y/keep/h3"), "all three names");
}

TEST(Commit, OursAndTheirsSettleConflicts) {
  CommitCase c;
  write_file(c.tree() + "/a/1", "theirs");
  write_file(c.tree() + "/q", "theirs, too");
  EXPECT_EQ(c.store().commit("work", {}, {}).value.conflicts.size(), 2u);
  CommitOptions options;
  options.ours = {"/a/*"};
  EXPECT_EQ(c.store().commit("work", {}, options).value.conflicts.size(), 1u);
  options.theirs = {"/q"};
  const auto done = c.store().commit("work", {}, options);
  EXPECT_EQ(done.error, "");
  EXPECT_TRUE(done.value.conflicts.empty());
  EXPECT_EQ(read_file(c.tree() + "/a/1"), "changed content");
  EXPECT_EQ(read_file(c.tree() + "/q"), "theirs, too");
  EXPECT_TRUE(c.store().layers().value.empty());
}

TEST(Commit, TheScriptDoesTheSame) {
  CommitCase c;
  const std::string before = c.print();
  const auto script = c.store().commit_script("work", {}, {});
  ASSERT_EQ(script.error, "");
  EXPECT_EQ(c.print(), before);
  const std::string file = c.dir().path() + "/script";
  write_file(file, script.value);
  ASSERT_EQ(system(("sh " + file).c_str()), 0) << script.value;
  EXPECT_EQ(differences(c.committed(), c.shown()), "") << script.value;
  expect_tidy(c);
}

TEST(Commit, ADirectoryThatVanishedIsMadeAgainByForce) {
  CommitCase c;
  sh("cd " + c.tree() + " && mv f elsewhere");
  EXPECT_FALSE(c.store().commit("work", {}, {}).value.conflicts.empty());
  CommitOptions force;
  force.force = true;
  EXPECT_EQ(c.store().commit("work", {}, force).error, "");
  EXPECT_EQ(access((c.tree() + "/f/x").c_str(), F_OK), 0);
}

TEST(CommitJournal, RoundTrip) {
  TempDir dir;
  CommitJournal journal(dir.path());
  EXPECT_EQ(journal.read().error(), Errno(ENOENT));
  CommitRecord r;
  r.id = "0123";
  r.rest = Selection::Verdict::kKeep;
  r.decisions = {{"a b\n", Selection::Verdict::kCommit}, {"c", Selection::Verdict::kDrop}};
  r.dirs.push_back({"", 5, {040755, 1, 2, -3, 4}, true});
  r.temps.push_back({"d\xff", "%"});
  r.locked.push_back({"l", 0});
  r.upper_dirs.push_back({"u", 6, {040700, 1, 2, 3, 4}, false});
  ASSERT_TRUE(journal.begin(r));
  EXPECT_EQ(journal.begin(r).error(), Errno(EEXIST));
  InPlace in;
  in.path = "p";
  in.show = "/p";
  in.stamp = {1, 0100644, 7, 8, true};
  in.xattrs_before = {{"user.a", std::string("\0x", 2)}};
  in.with_xattrs = true;
  r.in_place.push_back(in);
  Rename rename;
  rename.kind = Rename::Kind::kExchange;
  rename.from_name = "from";
  rename.to_name = "to";
  rename.there.ino = 9;
  rename.show = "/to";
  r.renames.push_back(rename);
  Direct direct;
  direct.kind = Direct::Kind::kOut;
  direct.dir = "d e";
  direct.name = "n\n";
  direct.own = "0";
  direct.there = {4, 0100644, 5, -6, false};
  r.direct.push_back(direct);
  r.trash.push_back({"", "t", 1, 2});
  r.finish.push_back({"", 3, {}});
  ASSERT_TRUE(journal.ready(r));
  const auto back = CommitJournal(dir.path()).read();
  ASSERT_TRUE(back);
  EXPECT_EQ(back->stage, CommitRecord::Stage::kReady);
  EXPECT_EQ(back->decisions, r.decisions);
  EXPECT_EQ(back->dirs.at(0).before.atime, -3);
  EXPECT_EQ(back->temps.at(0).dir, "d\xff");
  EXPECT_EQ(back->in_place.at(0).xattrs_before, in.xattrs_before);
  EXPECT_TRUE(back->in_place.at(0).stamp.only_ino);
  EXPECT_EQ(back->renames.at(0).there.ino, 9u);
  EXPECT_EQ(back->upper_dirs.at(0).before.mtime, 4);
  EXPECT_EQ(back->direct.at(0).kind, Direct::Kind::kOut);
  EXPECT_EQ(back->direct.at(0).dir, "d e");
  EXPECT_EQ(back->direct.at(0).name, "n\n");
  EXPECT_EQ(back->direct.at(0).there.mtime, -6);
  EXPECT_EQ(back->trash.at(0).name, "t");
  // A line that a kill cut short doesn't count, and what is written next replaces it.
  const std::string whole = read_file(dir.path() + "/commit");
  write_file(dir.path() + "/commit", whole + "deadbeef appl");
  CommitJournal again(dir.path());
  ASSERT_TRUE(again.read());
  ASSERT_TRUE(again.applied());
  EXPECT_EQ(CommitJournal(dir.path()).read()->stage, CommitRecord::Stage::kApplied);
  write_file(dir.path() + "/commit", "00000000 x\n" + whole);
  EXPECT_EQ(CommitJournal(dir.path()).read().error(), Errno(EINVAL));
}

TEST(Selection, PatternsMatchByName) {
  EXPECT_TRUE(path_matches("/a/*", "/a/b"));
  EXPECT_FALSE(path_matches("/a/*", "/a/b/c"));
  EXPECT_TRUE(path_matches("/a/**", "/a/b/c"));
  EXPECT_TRUE(path_matches("/**/c", "/c"));
  EXPECT_TRUE(path_matches("/**/c", "/a/b/c"));
  EXPECT_FALSE(path_matches("/**/c", "/a/b/cc"));
  EXPECT_TRUE(path_matches("/[ab]?", "/bx"));
}

}  // namespace
}  // namespace viewsh::viewfs

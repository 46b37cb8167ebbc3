#include "commit_fixture.h"
#include "host_ops.h"
#include "recorder.h"
#include "replay.h"

namespace viewsh::crash {
namespace {

using viewfs::CommitCase;

/// Whatever a power cut leaves of a commit: resumed it is the tree of a commit that was not cut,
/// undone it is the tree before.
void cut_everywhere(bool in_place) {
  CommitCase c(in_place);
  const std::string root = c.dir().path();
  const std::string before = c.print();
  const Disk disk = recorder::start(root);
  const auto answer = c.store().commit("work", {}, {});
  ASSERT_TRUE(answer.ok()) << answer.error;
  Replay replay(root, disk, recorder::stop());
  std::string after;
  replay.whole(0, [&] { EXPECT_EQ(c.print(), before) << "the recording is not whole"; });
  int resumed = 0;
  int undone = 0;
  int tried = 0;
  std::vector<std::string> committed;
  const auto commit_anew = [&](const std::string& when) {
    const auto again = c.store().commit("work", {}, {});
    EXPECT_TRUE(again.ok() && again.value.conflicts.empty()) << when << ": " << again.error;
  };
  for (size_t cut = 0; cut <= replay.size() && !testing::Test::HasFailure(); ++cut) {
    replay.states(cut, [&](const std::string& what) {
      const std::string when =
          "call " + std::to_string(cut) + " of " + std::to_string(replay.size()) + ": " + what;
      const bool undo = tried++ % 2 == 0;
      const bool there = access((c.layer_dir() + "/layer").c_str(), F_OK) == 0;
      const bool unfinished = access((c.layer_dir() + "/commit").c_str(), F_OK) == 0;
      if (there && unfinished && undo) {
        const auto back = c.store().undo_commit("work", {});
        if (back.ok()) {
          ++undone;
          EXPECT_EQ(c.print(), before) << when << ", undone";
          commit_anew(when);
        } else {
          EXPECT_NE(back.error.find("committed already"), std::string::npos) << when << back.error;
          EXPECT_TRUE(c.store().resume_commit("work", {}).ok()) << when;
        }
      } else if (there && unfinished) {
        const auto on = c.store().resume_commit("work", {});
        EXPECT_TRUE(on.ok() && on.value.conflicts.empty()) << when << ": " << on.error;
        ++resumed;
      } else if (there) {
        EXPECT_EQ(c.print(), before) << when;
        commit_anew(when);
      }
      // What was being removed shares inodes with the tree; it goes when this process has ended.
      (void)host_ops::remove_tree(host_ops::parent_of(c.layer_dir()));
      const auto is = c.committed();
      if (committed.empty()) committed = is;
      EXPECT_EQ(viewfs::differences(is, committed), "") << when << "\n" << replay.told(0, cut);
    });
  }
  EXPECT_GT(resumed, 0);
  EXPECT_GT(undone, 0);
  printf("%zu calls, %d states: resumed %d, undone %d\n", replay.size(), tried, resumed, undone);
}

TEST(PowerCutOfACommit, IsResumedOrUndone) { cut_everywhere(false); }
TEST(PowerCutOfACommit, InPlaceIsResumedOrUndone) { cut_everywhere(true); }

}  // namespace
}  // namespace viewsh::crash

// The layer is on another mount of the lower's file system: stat(2) shows one device, and rename(2)
// says EXDEV. A commit finds that out when it changes the lower, takes all of it back, and copies.
#include "commit_fixture.h"
#include "recorder.h"

namespace viewsh::crash {
namespace {

using viewfs::CommitCase;
using viewfs::CommitJournal;
using viewfs::CommitRecord;

class OtherMount : public testing::Test {
 protected:
  ~OtherMount() override { recorder::be_apart("", ""); }

  /// The layer is apart from `below` in the lower.
  static void separate(const CommitCase& c, const std::string& below) {
    recorder::be_apart(c.layer_dir(), c.tree() + below);
  }
  static std::vector<std::string> reference() {
    recorder::be_apart("", "");
    CommitCase c;
    EXPECT_EQ(c.store().commit("work", {}, {}).error, "");
    return c.committed();
  }
  static void expect_committed(const CommitCase& c, const std::vector<std::string>& committed) {
    EXPECT_EQ(viewfs::differences(c.committed(), committed), "");
    viewfs::sh("test -z \"$(find " + c.tree() + " -name '.viewsh-commit-*')\"");
  }
};

TEST_F(OtherMount, IsCommittedToAllTheSame) {
  const auto committed = reference();
  // The whole of the lower, or a directory of it, in which the last of the renames are.
  for (const std::string below : {"", "/a", "/d", "/f", "/q"}) {
    SCOPED_TRACE("apart: " + below);
    CommitCase c;
    separate(c, below);
    const auto done = c.store().commit("work", {}, {});
    EXPECT_EQ(done.error, "");
    EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
    if (below.empty()) {
      EXPECT_GT(recorder::kept_apart(), 0u);
    }
    recorder::be_apart("", "");
    expect_committed(c, committed);
    EXPECT_TRUE(c.store().layers().value.empty());
  }
}

/// Killed at steps of the way there, of the way back, and when it is done without renames.
TEST_F(OtherMount, KilledItIsResumedOrUndone) {
  const auto committed = reference();
  int resumed = 0;
  int undone = 0;
  for (const std::string below : {"", "/q"}) {
    for (int step = 1; step < 2000 && !HasFailure(); step += 3) {
      CommitCase c;
      const std::string before = c.print();
      separate(c, below);
      int at = 0;
      const int status = c.commit_in_child([&](const char*, uint64_t) {
        if (++at == step) kill(getpid(), SIGKILL);
      });
      if (!WIFSIGNALED(status)) {
        EXPECT_EQ(status, 0);
        break;
      }
      SCOPED_TRACE("apart: " + below + ", killed at step " + std::to_string(step));
      const auto record = CommitJournal(c.layer_dir()).read();
      if (!record) {
        if (access(c.layer_dir().c_str(), F_OK) == 0) {
          EXPECT_EQ(c.print(), before);
        }
        continue;
      }
      if (step % 2 == 0 && record->stage != CommitRecord::Stage::kApplied) {
        EXPECT_EQ(c.store().undo_commit("work", {}).error, "");
        EXPECT_EQ(c.print(), before);
        EXPECT_EQ(c.store().commit("work", {}, {}).error, "");
        ++undone;
      } else {
        const auto on = c.store().resume_commit("work", {});
        EXPECT_EQ(on.error, "");
        EXPECT_EQ(on.value.conflicts, std::vector<std::string>());
        ++resumed;
      }
      expect_committed(c, committed);
    }
  }
  EXPECT_GT(resumed, 10);
  EXPECT_GT(undone, 10);
  printf("resumed %d, undone %d\n", resumed, undone);
}

}  // namespace
}  // namespace viewsh::crash

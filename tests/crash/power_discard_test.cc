#include "commit_fixture.h"
#include "recorder.h"
#include "replay.h"

namespace viewsh::crash {
namespace {

using viewfs::CommitCase;

/// Whatever a kill or a power cut leaves of a discard of some paths: all of them are in the layer,
/// or none is.
TEST(PowerCutOfADiscard, IsDoneOrNot) {
  CommitCase c;
  const auto told = [&] {
    std::vector<std::string> out;
    const auto answer = c.store().diff("work", {});
    if (!answer.ok()) return std::vector<std::string>{answer.error};
    for (const Change& change : answer.value) {
      out.push_back(std::to_string(static_cast<int>(change.kind)) + " " + change.old_path + " " +
                    change.path);
    }
    return out;
  };
  const std::vector<std::string> before = told();
  const Disk disk = recorder::start(c.dir().path());
  const auto answer = c.store().discard("work", {"/fresh", "/d", "/a", "/type", "/sw1", "/sw2"});
  auto calls = recorder::stop();
  ASSERT_EQ(answer.error, "");
  const std::vector<std::string> after = told();
  Replay replay(c.dir().path(), disk, std::move(calls));
  EXPECT_NE(before, after);
  int done = 0;
  int not_done = 0;
  for (size_t cut = 0; cut <= replay.size() && !testing::Test::HasFailure(); ++cut) {
    replay.states(cut, [&](const std::string& what) {
      const auto is = told();
      ++(is == after ? done : not_done);
      EXPECT_TRUE(is == before || is == after)
          << "call " << cut << " of " << replay.size() << ": " << what << "\n"
          << viewfs::differences(is, cut > 18 ? after : before) << replay.told(0, cut);
      const auto verified = c.store().verify("work", false);
      EXPECT_TRUE(verified.ok() && verified.value.problems.empty())
          << what << ": " << verified.error
          << (verified.value.problems.empty() ? "" : verified.value.problems[0]);
    });
  }
  EXPECT_GT(done, 0);
  EXPECT_GT(not_done, 0);
}

}  // namespace
}  // namespace viewsh::crash

#include "cli/progress.h"

#include <gtest/gtest.h>

#include "cli/interrupt.h"

namespace viewsh {
namespace {

TEST(Progress, LineFitsTheTerminal) {
  EXPECT_EQ(progress_line("commit", {"applying", 5, 10}, 80, false),
            "commit: applying [###############               ] 5/10");
  EXPECT_EQ(progress_line("commit", {"applying", 10, 10}, 40, false),
            "commit: applying [##############] 10/10");
  EXPECT_EQ(progress_line("commit", {"applying", 12, 10}, 40, false),
            "commit: applying [##############] 12/10");
  EXPECT_EQ(progress_line("commit", {"applying", 1, 2}, 10, false), "commit: a");
  EXPECT_EQ(progress_line("commit", {"reading", 0, 0}, 80, false), "commit: reading");
  EXPECT_NE(progress_line("commit", {"applying", 5, 10}, 80, true).find("\x1b[32m"),
            std::string::npos);
}

TEST(Progress, ATransferIsToldInFilesAndBytes) {
  EXPECT_EQ(transfer_phase({.nodes = 1, .bytes = 1024}), "1 file, 1.0K");
  EXPECT_EQ(transfer_phase({.nodes = 0, .bytes = 17}), "0 files, 17");
  const std::string phase = "1 file, 1.0K";
  const ProgressState state{.phase = phase, .done = 1, .total = 4, .percent = true};
  EXPECT_EQ(progress_line("import", state, 80, false),
            "import: 1 file, 1.0K [#######                       ] 25%");
  EXPECT_EQ(progress_line("import", {.phase = phase}, 80, false), "import: 1 file, 1.0K");
}

TEST(Interrupt, RemembersWhatCameAndPutsBackWhatWas) {
  struct sigaction before {};
  struct sigaction after {};
  sigaction(SIGTERM, nullptr, &before);
  const auto old = signal(SIGHUP, SIG_IGN);
  {
    const Interrupt interrupt;
    EXPECT_EQ(Interrupt::signal(), 0);
    raise(SIGHUP);
    EXPECT_EQ(Interrupt::signal(), 0);
    raise(SIGTERM);
    EXPECT_EQ(Interrupt::signal(), SIGTERM);
  }
  EXPECT_EQ(Interrupt::signal(), SIGTERM);
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  signal(SIGHUP, old);
}

TEST(Progress, SaysNothingWithoutATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("commit");
    for (uint64_t i = 0; i < 100; ++i) progress.update({"applying", i, 100});
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace viewsh

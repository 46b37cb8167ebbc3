#include "cli/progress.h"

#include <gtest/gtest.h>

namespace viewsh {
namespace {

TEST(Progress, LineFitsTheTerminal) {
  EXPECT_EQ(progress_line("commit", "applying", 5, 10, 80, false),
            "commit: applying [###############               ] 5/10");
  EXPECT_EQ(progress_line("commit", "applying", 10, 10, 40, false),
            "commit: applying [##############] 10/10");
  EXPECT_EQ(progress_line("commit", "applying", 12, 10, 40, false),
            "commit: applying [##############] 12/10");
  EXPECT_EQ(progress_line("commit", "applying", 1, 2, 10, false), "commit: a");
  EXPECT_EQ(progress_line("commit", "reading", 0, 0, 80, false), "commit: reading");
  EXPECT_NE(progress_line("commit", "applying", 5, 10, 80, true).find("\x1b[32m"),
            std::string::npos);
}

TEST(Progress, SaysNothingWithoutATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("commit");
    for (uint64_t i = 0; i < 100; ++i) progress.update("applying", i, 100);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace viewsh

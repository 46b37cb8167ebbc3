#include "image_written.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace viewsh {
namespace {

constexpr pid_t kOne = 1;  // is there as long as the test is
constexpr uint64_t kAll = UINT64_MAX;

PlannedWrite at(pid_t task, uint64_t offset, uint64_t size) { return {task, offset, size}; }
PlannedWrite at_position(pid_t task, uint64_t offset, uint64_t size) {
  return {task, offset, size, true};
}
using Parts = std::vector<FilePart>;

TEST(WrittenParts, AreInOrderAndJoined) {
  WrittenParts written;
  EXPECT_TRUE(written.take().parts.empty());
  written.note(at(10, 100, 10));
  written.note(at(10, 110, 10));
  written.note(at(11, 0, 5));
  written.note(at(10, 50, 1));
  const auto taken = written.take();
  EXPECT_FALSE(taken.everything);
  EXPECT_EQ(taken.parts, (Parts{{0, 5}, {50, 51}, {100, 120}}));
}

TEST(WrittenParts, AWriteThatMayNotBeMadeYetCountsOn) {
  WrittenParts written;
  written.note(at(10, 0, 10));
  written.note(at(11, 100, 10));
  (void)written.take();
  EXPECT_EQ(written.take().parts, (Parts{{0, 10}, {100, 110}}));
  written.note(at(10, 0, 0));  // it does something else now, so that is made
  EXPECT_EQ(written.take().parts, (Parts{{0, 10}, {100, 110}}));
  EXPECT_EQ(written.take().parts, (Parts{{100, 110}}));
}

TEST(WrittenParts, WhatFailedIsGivenBack) {
  WrittenParts written;
  written.note(at(10, 0, 10));
  written.note(at(10, 0, 0));
  const auto taken = written.take();
  EXPECT_TRUE(written.take().parts.empty());
  written.give_back(taken);
  EXPECT_EQ(written.take().parts, (Parts{{0, 10}}));
}

TEST(WrittenParts, TwoWhoShareAPositionMayWriteAnywhere) {
  WrittenParts written;
  written.note(at_position(kOne, 0, 10));
  written.note(at_position(10, 0, 10));
  EXPECT_EQ(written.take().parts, (Parts{{0, kAll}}));
}

TEST(WrittenParts, WhoIsGoneSharesNoPosition) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  WrittenParts written;
  written.note(at_position(gone, 0, 10));
  written.note(at_position(kOne, 10, 10));
  EXPECT_EQ(written.take().parts, (Parts{{0, 20}}));
}

TEST(WrittenParts, MappedIsEverythingForGood) {
  WrittenParts written;
  written.note({10, 0, 0, false, true});
  EXPECT_TRUE(written.maps());
  EXPECT_TRUE(written.take().everything);
  EXPECT_TRUE(written.take().everything);
}

TEST(WrittenParts, EverythingOnce) {
  WrittenParts written;
  written.note_all();
  EXPECT_TRUE(written.take().everything);
  EXPECT_FALSE(written.take().everything);
}

TEST(WrittenParts, ToTheEndOverflowsNothing) {
  WrittenParts written;
  written.note(at(10, 5, PlannedWrite::kToTheEnd));
  EXPECT_EQ(written.take().parts, (Parts{{5, kAll}}));
}

TEST(WrittenParts, TooManyAreEverything) {
  WrittenParts written;
  for (uint64_t i = 0; i < 20000; ++i) written.note(at(10, i * 100, 1));
  EXPECT_TRUE(written.take().everything);
}

}  // namespace
}  // namespace viewsh

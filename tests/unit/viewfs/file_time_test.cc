// Times of files that 64 bits of nanoseconds can't hold.
#include "file_time.h"

#include <gtest/gtest.h>

#include "layer_record.h"

namespace viewsh::viewfs {
namespace {

TEST(FileTime, IsWrittenAndReadAsNanoseconds) {
  const struct {
    FileTime time;
    const char* text;
  } kCases[] = {
      {{0, 0}, "0"},
      {{0, 5}, "5"},
      {{1, 0}, "1000000000"},
      {{1700000000, 1}, "1700000000000000001"},
      {{-1, 999999999}, "-1"},
      {{-1, 0}, "-1000000000"},
      {{-2, 999999999}, "-1000000001"},
      {{13569465600, 123456789}, "13569465600123456789"},
      {{-11644473600, 0}, "-11644473600000000000"},
      {{-11644473601, 1}, "-11644473600999999999"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(c.time.text(), c.text);
    FileTime back;
    EXPECT_TRUE(FileTime::parse(c.text, &back)) << c.text;
    EXPECT_EQ(back, c.time) << c.text;
  }
}

TEST(FileTime, OfNanosecondsIsTheSame) {
  for (const int64_t ns : {int64_t{0}, int64_t{-1}, int64_t{999999999}, int64_t{-1000000000},
                           int64_t{1700000000123456789}, INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(FileTime(ns).text(), std::to_string(ns));
  }
  EXPECT_LT(FileTime(-1), FileTime(0));
  EXPECT_LT(FileTime(0, 1), FileTime(1, 0));
}

TEST(FileTime, WhatIsNoneIsRefused) {
  for (const char* text : {"", "-", "+1", "1.5", "x", "1 ", "0x10", "--1",
                           "99999999999999999999999999999999", "9223372036854775807000000000"}) {
    FileTime out;
    EXPECT_FALSE(FileTime::parse(text, &out)) << text;
  }
}

TEST(FileTime, IsKeptInALayersLog) {
  LowerState state;
  state.mtime = {13569465600, 1};
  state.ctime = {-11644473600, 2};
  const auto back = decode([&] {
    std::string line = encode({{}, {Record::hide("f", state)}});
    line.pop_back();
    return line;
  }());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->records.at(0).state, state);
}

}  // namespace
}  // namespace viewsh::viewfs

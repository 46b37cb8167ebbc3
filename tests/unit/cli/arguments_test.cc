#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace viewsh {
namespace {

using Words = std::vector<std::string>;

OptionKind kind_of(const std::string& name) {
  if (name == "--flag") return OptionKind::kFlag;
  if (name == "--value" || name == "-p") return OptionKind::kValue;
  if (name == "--trace") return OptionKind::kOptionalValue;
  return OptionKind::kUnknown;
}

std::string split(const Words& words, bool command, Arguments* out) {
  return split_arguments(words, command, kind_of, {"--flag", "--value", "--trace"}, out).text;
}

TEST(Arguments, CommandTakesAllThatFollows) {
  Arguments out;
  EXPECT_EQ(split({"--flag", "-p", "x", "ls", "--flag", "--bogus", "--", "-p"}, true, &out), "");
  EXPECT_EQ(out.options, (Words{"--flag", "-p", "x"}));
  EXPECT_EQ(out.rest, (Words{"ls", "--flag", "--bogus", "--", "-p"}));
}

TEST(Arguments, DashesBeginTheCommand) {
  Arguments out;
  EXPECT_EQ(split({"--flag", "--", "--odd-name", "a"}, true, &out), "");
  EXPECT_EQ(out.rest, (Words{"--odd-name", "a"}));
}

TEST(Arguments, OptionsAndPathsMix) {
  Arguments out;
  EXPECT_EQ(split({"layer", "--flag", "path", "-", "--", "--flag"}, false, &out), "");
  EXPECT_EQ(out.options, (Words{"--flag"}));
  EXPECT_EQ(out.rest, (Words{"layer", "path", "-", "--flag"}));
}

TEST(Arguments, ValuesMayBeEmptyOrLookLikeOptions) {
  Arguments out;
  EXPECT_EQ(split({"--value=", "--value", "--flag", "--value=a=b", "-px", "cmd"}, true, &out), "");
  EXPECT_EQ(out.options, (Words{"--value", "", "--value", "--flag", "--value", "a=b", "-p", "x"}));
  EXPECT_EQ(out.rest, (Words{"cmd"}));
}

TEST(Arguments, AnOptionalValueNeedsTheEqualSign) {
  Arguments out;
  EXPECT_EQ(split({"--trace", "cmd"}, true, &out), "");
  EXPECT_EQ(out.options, (Words{"--trace", ""}));
  out = {};
  EXPECT_EQ(split({"--trace=file", "cmd"}, true, &out), "");
  EXPECT_EQ(out.options, (Words{"--trace", "file"}));
}

TEST(Arguments, Faults) {
  Arguments out;
  EXPECT_EQ(split({"--flga"}, true, &out), "--flga: unknown option; did you mean '--flag'?");
  EXPECT_EQ(split({"--value"}, true, &out), "--value: needs a value");
  EXPECT_EQ(split({"--flag=1"}, true, &out), "--flag: takes no value");
}

}  // namespace
}  // namespace viewsh

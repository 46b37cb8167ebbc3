#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/parse_text.h"

namespace viewsh {
namespace {

TEST(NearMiss, FindsTypingErrors) {
  EXPECT_EQ(near_miss("sorce", {"source", "sources", "type"}), "source");
  EXPECT_EQ(near_miss("lyaer", {"at", "layer"}), "layer");
  EXPECT_EQ(near_miss("at", {"at", "layer"}), "at");
}

TEST(NearMiss, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(near_miss("colour", {"source", "at"}), "");
  EXPECT_EQ(near_miss("", {"at"}), "");
}

TEST(Text, PrintableEscapesControlCharacters) {
  EXPECT_EQ(printable("a\nb\x1b[31m"), "a\\nb\\x1b[31m");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

TEST(Text, HumanSize) {
  EXPECT_EQ(human_size(1023), "1023");
  EXPECT_EQ(human_size(1536), "1.5K");
  EXPECT_EQ(human_size(1024 * 1024 - 1), "1.0M");
}

TEST(Text, SplitEscaped) {
  EXPECT_EQ(split_escaped("a:b", ':'), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(split_escaped(R"(a\:b:c\\d\e)", ':'), (std::vector<std::string>{"a:b", R"(c\d\e)"}));
  EXPECT_EQ(split_escaped("", ':'), (std::vector<std::string>{""}));
}

TEST(Text, TableAlignsWideCharacters) {
  Table table({"A", "B"});
  table.add({"\xc3\xbc", "x"});
  EXPECT_EQ(table.text(), "A  B\n\xc3\xbc  x\n");
}

TEST(Text, JsonTakesNamesThatAreNotUtf8) {
  EXPECT_EQ(json_text(Json("\xff")), "\"\xef\xbf\xbd\"\n");
}

TEST(ParseText, Size) {
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("64M"), 64U << 20);
  EXPECT_EQ(parse_size("2GiB"), 2ULL << 30);
  for (const char* wrong : {"", "M", "1.5G", "-1", "64X", "64Mi", "99999999999999999T"}) {
    EXPECT_EQ(parse_size(wrong), std::nullopt) << wrong;
  }
}

TEST(ParseText, MagicRoundTrip) {
  std::string bytes(
      "\x7f"
      "ELF\x02\x00\xff\\",
      8);
  auto parsed = parse_magic(R"(\x7fELF\x02\x00\xff\\)");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, bytes);
  EXPECT_EQ(parse_magic(magic_text(bytes)), bytes);
  EXPECT_EQ(parse_magic(R"(\x7)"), std::nullopt);
  EXPECT_EQ(parse_magic("\xc3\xbf"), std::nullopt);
}

TEST(ParseText, MountOptions) {
  EXPECT_EQ(check_mount_options("bind", {{"ro", ""}}), "");
  EXPECT_NE(check_mount_options("bind", {{"size", "1"}}), "");
  EXPECT_NE(check_mount_options("hide", {{"ro", ""}}), "");
  EXPECT_EQ(check_mount_options("tmpfs", {{"size", "50%"}, {"mode", "1777"}}), "");
  EXPECT_NE(check_mount_options("tmpfs", {{"size", "big"}}), "");
  EXPECT_NE(check_mount_options("tmpfs", {{"mode", "rwx"}}), "");
  EXPECT_EQ(check_mount_options("ext4", {{"whatever", "1"}}), "");
}

TEST(ParseText, LayerName) {
  EXPECT_EQ(check_layer_name("work-1.2_x"), "");
  for (const char* wrong : {"", ".", "..", "-x", "a/b", "a b", "a\n"}) {
    EXPECT_NE(check_layer_name(wrong), "") << wrong;
  }
}

}  // namespace
}  // namespace viewsh

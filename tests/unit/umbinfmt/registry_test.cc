#include "registry.h"

#include <gtest/gtest.h>

namespace viewsh {
namespace {

ExecFormatSpec by_extension(std::string name, std::string extension, std::string interpreter) {
  ExecFormatSpec spec;
  spec.name = std::move(name);
  spec.extension = std::move(extension);
  spec.interpreter = std::move(interpreter);
  return spec;
}

ExecFormatSpec by_magic(std::string name, std::string magic, size_t offset = 0) {
  ExecFormatSpec spec;
  spec.name = std::move(name);
  spec.magic = std::move(magic);
  spec.offset = offset;
  spec.interpreter = "/usr/bin/run";
  return spec;
}

TEST(FormatRegistry, ExtensionAfterTheLastDotIsCompared) {
  FormatRegistry registry;
  ASSERT_EQ(registry.add(by_extension("tape", "tap", "/usr/bin/play-tape")), "");
  ASSERT_TRUE(registry.match("/home/u/a.b.tap", "").has_value());
  EXPECT_EQ(registry.match("/home/u/a.b.tap", "")->interpreter, "/usr/bin/play-tape");
  EXPECT_FALSE(registry.match("/home/u/a.TAP", "").has_value());
  EXPECT_FALSE(registry.match("/home/u.tap/a", "").has_value());
  EXPECT_FALSE(registry.match("tap", "").has_value());
}

TEST(FormatRegistry, MagicUnderAMaskAtAnOffset) {
  FormatRegistry registry;
  ExecFormatSpec spec = by_magic("m", "\x12\x34", 4);
  spec.mask = "\xff\xf0";
  ASSERT_EQ(registry.add(spec), "");
  EXPECT_TRUE(registry.match("x", std::string_view("....\x12\x3f", 6)).has_value());
  EXPECT_FALSE(registry.match("x", std::string_view("....\x12\x4f", 6)).has_value());
  EXPECT_FALSE(registry.match("x", std::string_view("....\x12", 5)).has_value());
}

TEST(FormatRegistry, BytesPastTheEndCountAsZero) {
  FormatRegistry registry;
  ASSERT_EQ(registry.add(by_magic("z", std::string("ab\0\0", 4))), "");
  EXPECT_TRUE(registry.match("x", "ab").has_value());
}

TEST(FormatRegistry, TheNewestRuleWins) {
  FormatRegistry registry;
  ASSERT_EQ(registry.add(by_extension("old", "x", "/old")), "");
  ASSERT_EQ(registry.add(by_extension("new", "x", "/new")), "");
  EXPECT_EQ(registry.match("a.x", "")->interpreter, "/new");
}

TEST(FormatRegistry, FlagPKeepsArgvZero) {
  FormatRegistry registry;
  ExecFormatSpec spec = by_extension("p", "p", "/p");
  spec.flags = "OCPF";
  ASSERT_EQ(registry.add(spec), "");
  ASSERT_EQ(registry.add(by_extension("q", "q", "/q")), "");
  EXPECT_TRUE(registry.match("a.p", "")->preserve_argv0);
  EXPECT_FALSE(registry.match("a.q", "")->preserve_argv0);
}

TEST(FormatRegistry, NamesThatTheKernelRefuses) {
  FormatRegistry registry;
  for (const char* name : {"", ".", "..", "register", "status", "a/b"})
    EXPECT_NE(registry.add(by_extension(name, "x", "/x")), "") << name;
  EXPECT_EQ(registry.add(by_extension("a", "x", "/x")), "");
  EXPECT_EQ(registry.add(by_extension("a", "y", "/y")), "a: a rule of this name exists");
}

TEST(FormatRegistry, TheMagicLiesInTheHead) {
  FormatRegistry registry;
  EXPECT_EQ(registry.add(by_magic("fits", std::string(28, 'x'), 100)), "");
  EXPECT_NE(registry.add(by_magic("over", std::string(29, 'x'), 100)), "");
  EXPECT_NE(registry.add(by_magic("long", std::string(129, 'x'))), "");
  EXPECT_NE(registry.add(by_magic("wrap", "x", SIZE_MAX)), "");
}

TEST(FormatRegistry, RulesThatSayTooLittleOrTooMuch) {
  FormatRegistry registry;
  EXPECT_EQ(registry.add(by_magic("n", "")), "n: a magic or an extension is needed");
  ExecFormatSpec both = by_magic("b", "x");
  both.extension.assign(1, 'x');
  EXPECT_NE(registry.add(both), "");
  ExecFormatSpec mask = by_magic("m", "abc");
  mask.mask.assign(1, '\xff');
  EXPECT_EQ(registry.add(mask), "m: mask: has 1 bytes, the magic has 3");
  EXPECT_NE(registry.add(by_extension("e", ".x", "/x")), "");
  EXPECT_NE(registry.add(by_extension("e", "x/y", "/x")), "");
  EXPECT_NE(registry.add(by_extension("e", "x", "")), "");
  EXPECT_NE(registry.add(by_extension("e", "x", "bin/x")), "");
  EXPECT_NE(registry.add(by_extension("e", "x", std::string(128, '/'))), "");
  ExecFormatSpec flags = by_extension("e", "x", "/x");
  flags.flags = "PX";
  EXPECT_EQ(registry.add(flags), "e: flags: 'X' is none of P O C F");
}

}  // namespace
}  // namespace viewsh

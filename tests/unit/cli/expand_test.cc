#include "cli/expand.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "fake_engine.h"

namespace viewsh {
namespace {

class ExpandTest : public CliTest {
 protected:
  static std::string expand(const std::string& text) {
    std::string out;
    UserError error = expand_variables(text, &out);
    return error ? "error: " + error.text : out;
  }
};

TEST_F(ExpandTest, Variables) {
  setenv("VS_A", "1", 1);
  setenv("VS_EMPTY", "", 1);
  unsetenv("VS_NONE");
  EXPECT_EQ(expand("$VS_A/${VS_A}b"), "1/1b");
  EXPECT_EQ(expand("${VS_NONE:-x}${VS_EMPTY:-y}${VS_A:-z}"), "xy1");
  EXPECT_EQ(expand("${VS_NONE:-a/${VS_A}/$VS_A}"), "a/1/1");
  EXPECT_EQ(expand("${VS_EMPTY}"), "");
  EXPECT_EQ(expand("$$VS_A $ $5 a$"), "$VS_A $ $5 a$");
}

TEST_F(ExpandTest, SaysWhatIsWrong) {
  unsetenv("VS_NONE");
  EXPECT_NE(expand("$VS_NONE").find("VS_NONE is not set"), std::string::npos);
  EXPECT_NE(expand("${VS_A").find("not closed"), std::string::npos);
  EXPECT_NE(expand("${VS_A-x}").find("must be ${NAME}"), std::string::npos);
  EXPECT_NE(expand("${}").find("must be ${NAME}"), std::string::npos);
}

TEST_F(ExpandTest, WorkingDirectoryIgnoresAnOldName) {
  setenv("PWD", "/usr", 1);
  EXPECT_EQ(expand("$PWD"), dir());
}

TEST_F(ExpandTest, Tilde) {
  EXPECT_EQ(expand_tilde("~"), dir());
  EXPECT_EQ(expand_tilde("~/.ssh"), dir() + "/.ssh");
  EXPECT_EQ(expand_tilde("~root"), "~root");
  EXPECT_EQ(expand_tilde("a~/b"), "a~/b");
}

TEST_F(ExpandTest, AbsolutePaths) {
  EXPECT_EQ(absolute_view_path("a/./b//c/", "/x"), "/x/a/b/c");
  EXPECT_EQ(absolute_view_path("../y", "/x"), "/y");
  EXPECT_EQ(absolute_view_path("/../y", "/x"), "/y");
}

TEST_F(ExpandTest, ParentOfALinkIsWhereTheLinkLeads) {
  std::filesystem::create_directories(dir() + "/real/deep");
  ASSERT_EQ(symlink((dir() + "/real/deep").c_str(), (dir() + "/link").c_str()), 0);
  EXPECT_EQ(absolute_host_path("link/../file", dir()), dir() + "/real/file");
  EXPECT_EQ(absolute_host_path("link/file", dir()), dir() + "/link/file");
}

}  // namespace
}  // namespace viewsh

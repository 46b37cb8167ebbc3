#include "cli/patch.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "fake_engine.h"

namespace viewsh {
namespace {

class PatchTest : public CliTest {
 protected:
  static Change change(Change::Kind kind, const std::string& path, const std::string& lower,
                       const std::string& upper) {
    Change change;
    change.kind = kind;
    change.path = path;
    change.lower = lower;
    change.upper = upper;
    return change;
  }
  static std::string patch_of(const std::vector<Change>& changes) {
    testing::internal::CaptureStdout();
    UserError error = write_patch(changes, STDOUT_FILENO, false);
    EXPECT_EQ(error.text, "");
    return testing::internal::GetCapturedStdout();
  }
};

TEST_F(PatchTest, ChangedFile) {
  auto change_b =
      change(Change::Kind::kChanged, "/b", write("old", "1\n2\n"), write("new", "1\n3\n"));
  EXPECT_EQ(patch_of({change_b}),
            "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n");
  ChangeSize size;
  EXPECT_FALSE(measure_change(change_b, &size));
  EXPECT_EQ(size.added, 1U);
  EXPECT_EQ(size.removed, 1U);
}

TEST_F(PatchTest, OnlyTimesChanged) {
  std::string file = write("same", "x\n");
  EXPECT_EQ(patch_of({change(Change::Kind::kChanged, "/b", file, file)}), "");
}

TEST_F(PatchTest, BinaryFilesAreOnlyNamed) {
  std::string binary = write("bin", std::string("a\0b", 3));
  EXPECT_EQ(patch_of({change(Change::Kind::kAdded, "/b", "", binary)}),
            "Binary files /dev/null and b/b differ\n");
  std::string other = write("other", std::string("a\0c", 3));
  EXPECT_EQ(patch_of({change(Change::Kind::kChanged, "/b", binary, other)}),
            "Binary files a/b and b/b differ\n");
  ASSERT_EQ(chmod(other.c_str(), 0755), 0);
  EXPECT_EQ(patch_of({change(Change::Kind::kChanged, "/b", binary, other)}),
            "Binary files a/b and b/b differ\n"
            "diff --git a/b b/b\nold mode 100644\nnew mode 100755\n");
  EXPECT_EQ(patch_of({change(Change::Kind::kChanged, "/b", binary, binary)}), "");
}

TEST_F(PatchTest, SymbolicLinks) {
  ASSERT_EQ(symlink("target", (dir() + "/link").c_str()), 0);
  EXPECT_EQ(patch_of({change(Change::Kind::kAdded, "/l", "", dir() + "/link")}),
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n"
            "+target\n\\ No newline at end of file\n");
}

TEST_F(PatchTest, DeletedDirectoryIsItsFiles) {
  write("d/sub/y", "y\n");
  write("d/x", "x\n");
  std::string patch = patch_of({change(Change::Kind::kDeleted, "/d", dir() + "/d", "")});
  EXPECT_NE(patch.find("--- a/d/sub/y\n+++ /dev/null\n"), std::string::npos);
  EXPECT_NE(patch.find("--- a/d/x\n"), std::string::npos);
}

TEST_F(PatchTest, RenamedDirectoryIsItsFiles) {
  write("d/same", "s\n");
  Change renamed = change(Change::Kind::kRenamed, "/e", dir() + "/d", dir() + "/d");
  renamed.old_path = "/d";
  auto inside = change(Change::Kind::kChanged, "/e/t", write("d/t", "1\n"), write("new", "2\n"));
  EXPECT_EQ(patch_of({renamed, inside}),
            "diff --git a/d/same b/e/same\nrename from d/same\nrename to e/same\n"
            "diff --git a/d/t b/e/t\nrename from d/t\nrename to e/t\n"
            "--- a/d/t\n+++ b/e/t\n@@ -1 +1 @@\n-1\n+2\n");
}

TEST_F(PatchTest, NamesThatNeedQuotes) {
  EXPECT_EQ(patch_name("a", "/x y"), "a/x y");
  EXPECT_EQ(patch_name("a", "/x\n\"\\"), "\"a/x\\012\\\"\\\\\"");
  EXPECT_EQ(patch_name("", "/x"), "x");
}

/// The patch of a small tree turns the old tree into the new one with git apply.
TEST_F(PatchTest, GitTakesIt) {
  if (system("git --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
  write("old/a b", "1\n2\n");
  write("old/dir/gone", "g\n");
  write("old/ren", "same\n");
  write("new/a b", "1\n3\n");
  write("new/added", "no newline");
  Change renamed = change(Change::Kind::kRenamed, "/moved", dir() + "/old/ren", dir() + "/old/ren");
  renamed.old_path = "/ren";
  std::string patch =
      patch_of({change(Change::Kind::kChanged, "/a b", dir() + "/old/a b", dir() + "/new/a b"),
                change(Change::Kind::kAdded, "/added", "", dir() + "/new/added"),
                change(Change::Kind::kDeleted, "/dir", dir() + "/old/dir", ""), renamed});
  write("patch", patch);
  ASSERT_EQ(system("cd old && git apply ../patch"), 0) << patch;
  EXPECT_EQ(system("cmp 'old/a b' 'new/a b' && cmp old/added new/added && test -e old/moved"), 0);
  EXPECT_FALSE(std::filesystem::exists("old/ren"));
  EXPECT_FALSE(std::filesystem::exists("old/dir/gone"));
}

}  // namespace
}  // namespace viewsh

// What is known of a layer's names at once is what each of them says when it is asked.
#include "survey.h"

#include <sys/xattr.h>

#include "cow_driver.h"
#include "cow_host.h"
#include "layer_snapshot.h"
#include "layer_view.h"

namespace viewsh::viewfs {
namespace {

class SurveyTest : public testing::Test {
 protected:
  SurveyTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    sh("mkdir " + lower_ + "/many && cd " + lower_ +
       "/many && for i in $(seq 0 299); do echo old >f$i; done");
    plain_ = setxattr((lower_ + "/many/f0").c_str(), "user.k", "v", 1, 0) != 0;
    umask(022);
    CowCalls cow(cow_over(lower_, host_, "work"));
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    for (int i = 0; i < 300; ++i) {
      const std::string path = "many/f" + std::to_string(i);
      EXPECT_EQ(i % 3 == 2 ? cow.unlink(path) : cow.write(path, flags, 0644, "new"), 0);
    }
    EXPECT_EQ(cow.write("many/new", flags, 0640, "new"), 0);
    EXPECT_EQ(cow.rename("a/b", "elsewhere", 0), 0);
    EXPECT_EQ(cow.write("elsewhere/2x", flags, 0640, "in what was a/b"), 0);
    EXPECT_EQ(cow.write("elsewhere/c/3", flags, 0640, "in what was a/b/c"), 0);
    EXPECT_EQ(cow.rename("f/x", "many/x", 0), 0);
    EXPECT_EQ(cow.mkdir("fresh", 0700), 0);
    EXPECT_EQ(cow.symlink("fresh/link", "nowhere"), 0);
    EXPECT_EQ(cow.unlink("a/link"), 0);
  }
  std::unique_ptr<LayerView> open() {
    std::string error;
    auto view = LayerView::open(host_.state_dir() + "/layers/work", "work", false, "test", &error);
    EXPECT_EQ(error, "");
    return view;
  }
  static void expect_same(const Attr& is, const Attr& want, const std::string& path) {
    EXPECT_EQ(is.stx_mode, want.stx_mode) << path;
    EXPECT_EQ(is.stx_ino, want.stx_ino) << path;
    EXPECT_EQ(dev_of(is), dev_of(want)) << path;
    EXPECT_EQ(is.stx_nlink, want.stx_nlink) << path;
    EXPECT_EQ(is.stx_size, want.stx_size) << path;
    EXPECT_EQ(is.stx_blocks, want.stx_blocks) << path;
    EXPECT_EQ(is.stx_uid, want.stx_uid) << path;
    EXPECT_EQ(is.stx_gid, want.stx_gid) << path;
    EXPECT_EQ(file_time(is.stx_atime), file_time(want.stx_atime)) << path;
    EXPECT_EQ(file_time(is.stx_mtime), file_time(want.stx_mtime)) << path;
    EXPECT_EQ(file_time(is.stx_ctime), file_time(want.stx_ctime)) << path;
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  bool plain_ = false;  ///< no extended attributes here
};

TEST_F(SurveyTest, SaysWhatTheFileSystemSays) {
  const auto view = open();
  ASSERT_TRUE(view);
  view->survey.take(*view, Survey::Xattrs::kPairs, Detail::kAll);
  int uppers = 0;
  int lowers = 0;
  int absent = 0;
  view->index.each([&](Node* node) {
    if (node->parent == nullptr) return;
    const std::string path = Index::path_of(node);
    const auto upper = view->survey.upper(node);
    EXPECT_EQ(upper.has_value(), node->state == Node::State::kUpper) << path;
    if (upper) {
      const auto want = lstat_at(view->layer->upper_fd(), path);
      ASSERT_TRUE(want.ok()) << path;
      expect_same(*upper, *want, path);
      ++uppers;
    }
    const auto lower = view->survey.lower(node);
    EXPECT_EQ(lower.has_value(), node->parent->merged()) << path;
    if (!lower) return;
    const std::string position = join(Index::lower_path_of(node->parent), node->name);
    const auto want = lstat_at(AT_FDCWD, join(lower_, position));
    ASSERT_EQ(lower->ok(), want.ok()) << position;
    if (!want) {
      EXPECT_EQ(lower->error(), want.error()) << position;
      ++absent;
      return;
    }
    expect_same(**lower, *want, position);
    ++lowers;
  });
  EXPECT_GT(uppers, 200);
  EXPECT_GT(lowers, 300);
  EXPECT_GT(absent, 3);
}

TEST_F(SurveyTest, TellsPlainFilesFromThoseWithExtendedAttributes) {
  if (plain_) GTEST_SKIP() << "no extended attributes here";
  const auto view = open();
  ASSERT_TRUE(view);
  view->survey.take(*view, Survey::Xattrs::kUpper, Detail::kWhether);
  if (!has_no_xattrs_at(AT_FDCWD, lower_ + "/many/f1")) GTEST_SKIP() << "no listxattrat(2)";
  EXPECT_FALSE(view->survey.plain(view->index.find("many/f0")));
  EXPECT_FALSE(view->survey.plain_upper(view->index.find("many/f0"))) << "copied up with it";
  EXPECT_TRUE(view->survey.plain(view->index.find("many/f1")));
  EXPECT_TRUE(view->survey.plain_upper(view->index.find("many/new")));
  EXPECT_FALSE(view->survey.plain(view->index.find("many/new"))) << "the lower has none";
}

TEST_F(SurveyTest, OfASnapshotOnlyTheLowerIsKnown) {
  auto store = make_layer_store(host_);
  ASSERT_EQ(store->take_snapshot("work", "s").error, "");
  std::string error;
  const LayerPlace place{host_.state_dir() + "/layers/work", "work", "test"};
  const auto view = open_snapshot(place, "s", &error);
  ASSERT_TRUE(view) << error;
  view->survey.take(*view, Survey::Xattrs::kPairs, Detail::kAll);
  const Node* node = view->index.find("many/f1");
  EXPECT_FALSE(view->survey.upper(node).has_value());
  EXPECT_TRUE(view->survey.lower(node).has_value());
}

}  // namespace
}  // namespace viewsh::viewfs

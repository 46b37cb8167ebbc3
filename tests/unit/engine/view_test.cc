#include "vfs/view.h"

#include <gtest/gtest.h>

#include "temp_tree.h"

namespace viewsh {
namespace {

using testing::host_fs;
using testing::mount_of;

/// Mounts of host directories that need not exist: nothing here looks at a file system.
class ViewTest : public ::testing::Test {
 protected:
  void add(const std::string& at, const std::string& host,
           std::optional<MountName> name = std::nullopt) {
    view_ = view_->with(mount_of(at, host_fs(host)), std::move(name));
  }
  /// "mount point : path in it"
  std::string place(std::string_view path) const {
    Location here = view_->locate(path);
    return here.mount->at + " : " + here.path;
  }
  std::vector<std::string> order() const {
    std::vector<std::string> out;
    for (const auto& mount : view_->mounts()) out.push_back(mount->at);
    return out;
  }
  std::shared_ptr<const View> view_ = std::make_shared<View>(mount_of("/", host_fs("/")));
};

TEST_F(ViewTest, LocateFindsTheLongestMount) {
  add("/a/b", "/h1");
  add("/a/b/c/d", "/h2");
  EXPECT_EQ(place("/"), "/ : ");
  EXPECT_EQ(place("/a"), "/ : a");
  EXPECT_EQ(place("/a/bb"), "/ : a/bb");
  EXPECT_EQ(place("/a/b"), "/a/b : ");
  EXPECT_EQ(place("/a/b/c"), "/a/b : c");
  EXPECT_EQ(place("/a/b/c/d"), "/a/b/c/d : ");
  EXPECT_EQ(place("/a/b/c/d/e/f"), "/a/b/c/d : e/f");
  EXPECT_EQ(place("/a/b/c/dd"), "/a/b : c/dd");
  EXPECT_EQ(place("/x/a/b"), "/ : x/a/b");
}

TEST_F(ViewTest, AMountMakesANewView) {
  std::shared_ptr<const View> before = view_;
  add("/a", "/h1");
  std::shared_ptr<const View> between = view_;
  add("/a/b", "/h2");
  EXPECT_EQ(before->locate("/a/b").mount->at, "/");
  EXPECT_EQ(between->locate("/a/b").mount->at, "/a");
  EXPECT_EQ(view_->locate("/a/b").mount->at, "/a/b");
  EXPECT_EQ(before->mounts().size(), 1U);
  EXPECT_EQ(between->mounts().size(), 2U);
}

TEST_F(ViewTest, AMountCoversWhatIsAtAndBelowIt) {
  add("/a/b", "/h1", MountName{"b", false, NodeType::kDirectory});
  add("/a/b/c", "/h2");
  add("/a2", "/h3");
  EXPECT_EQ(order(), (std::vector<std::string>{"/", "/a/b", "/a/b/c", "/a2"}));
  add("/a", "/h4");
  EXPECT_EQ(order(), (std::vector<std::string>{"/", "/a2", "/a"}));
  EXPECT_EQ(place("/a/b/c"), "/a : b/c");
  EXPECT_TRUE(view_->node_at("/a")->children.empty());
  EXPECT_TRUE(view_->node_at("/a")->names.empty());
  add("/a", "/h5");
  EXPECT_EQ(order(), (std::vector<std::string>{"/", "/a2", "/a"}));
  EXPECT_EQ(view_->locate("/a/x").mount->fs->reverse("/h5/x"), "x");
  // The root itself.
  add("/", "/h6");
  EXPECT_EQ(order(), (std::vector<std::string>{"/"}));
  EXPECT_EQ(place("/a/x"), "/ : a/x");
  EXPECT_EQ(view_->reverse("/h6/x"), "/x");
  EXPECT_EQ(view_->reverse("/h5/x"), std::nullopt);
}

TEST_F(ViewTest, NodesLeadToMounts) {
  add("/a/b/c", "/h1");
  ASSERT_NE(view_->node_at("/"), nullptr);
  EXPECT_EQ(view_->node_at("/"), view_->root());
  ASSERT_NE(view_->node_at("/a/b"), nullptr);
  EXPECT_EQ(view_->node_at("/a/b")->mount, nullptr);
  EXPECT_EQ(view_->node_at("/a/b/c")->mount->at, "/a/b/c");
  EXPECT_EQ(view_->node_at("/a/b/c/d"), nullptr);
  EXPECT_EQ(view_->node_at("/a/x"), nullptr);
}

TEST_F(ViewTest, MountsAtOrBelow) {
  add("/a/b/c", "/h1");
  EXPECT_TRUE(view_->has_mount_at_or_below("/"));
  EXPECT_TRUE(view_->has_mount_at_or_below("/a"));
  EXPECT_TRUE(view_->has_mount_at_or_below("/a/b/c"));
  EXPECT_FALSE(view_->has_mount_at_or_below("/a/b/c/d"));
  EXPECT_FALSE(view_->has_mount_at_or_below("/a/bb"));
  EXPECT_FALSE(view_->has_mount_at_or_below("/b"));
  EXPECT_TRUE(view_->is_mount_point("/"));
  EXPECT_TRUE(view_->is_mount_point("/a/b/c"));
  EXPECT_FALSE(view_->is_mount_point("/a/b"));
  EXPECT_FALSE(view_->is_mount_point("/a/b/c/d"));
}

TEST_F(ViewTest, NamesCorrectTheParentsListing) {
  add("/a/new", "/h1", MountName{"new", false, NodeType::kDirectory});
  add("/a/gone", "/h2", MountName{"gone", true, NodeType::kDirectory});
  ASSERT_EQ(view_->node_at("/a")->names.size(), 2U);
  add("/a/gone", "/h3", MountName{"gone", false, NodeType::kRegular});
  const std::vector<MountName>& names = view_->node_at("/a")->names;
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[1].name, "gone");
  EXPECT_FALSE(names[1].hidden);
  EXPECT_EQ(names[1].type, NodeType::kRegular);
  EXPECT_TRUE(view_->root()->names.empty());
}

TEST_F(ViewTest, ReverseFindsTheVisiblePlace) {
  EXPECT_EQ(view_->reverse("/usr/bin"), "/usr/bin");
  EXPECT_EQ(view_->reverse("/"), "/");
  EXPECT_EQ(view_->reverse("pipe:[1]"), std::nullopt);
  add("/a", "/h");
  EXPECT_EQ(view_->reverse("/h/x"), "/a/x");
  EXPECT_EQ(view_->reverse("/h"), "/a");
  EXPECT_EQ(view_->reverse("/hh"), "/hh");
  EXPECT_EQ(view_->reverse("/a/x"), std::nullopt) << "covered by the mount";
  // A second mount of the same directory: the newest place is told.
  add("/b", "/h");
  EXPECT_EQ(view_->reverse("/h/x"), "/b/x");
  // Where that one is covered, the older place still shows it.
  add("/b/x", "/other");
  EXPECT_EQ(view_->reverse("/h/x/y"), "/a/x/y");
  EXPECT_EQ(view_->reverse("/other/y"), "/b/x/y");
}

TEST_F(ViewTest, EntriesKeepWhatIsCovered) {
  add("/a", "/h1");
  add("/a/b", "/h2", MountName{"b", true, NodeType::kDirectory});
  add("/a", "/h3");
  EXPECT_EQ(order(), (std::vector<std::string>{"/", "/a"}));
  std::vector<View::Entry> entries = view_->entries();
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[2].name->name, "b");
  // Without the one that covers them they are there again, with their names.
  entries.pop_back();
  view_ = View::of(entries);
  EXPECT_EQ(order(), (std::vector<std::string>{"/", "/a", "/a/b"}));
  EXPECT_EQ(view_->reverse("/h2/x"), "/a/b/x");
  EXPECT_EQ(view_->reverse("/h3/x"), "/h3/x");
  ASSERT_EQ(view_->node_at("/a")->names.size(), 1U);
  EXPECT_TRUE(view_->node_at("/a")->names[0].hidden);
}

TEST_F(ViewTest, HostFileSystemsFixNothing) {
  Attr attr{};
  EXPECT_FALSE(view_->fixes_attr());
  EXPECT_FALSE(view_->fix_attr(&attr));
}

}  // namespace
}  // namespace viewsh

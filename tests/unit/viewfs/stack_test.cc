// Layers that stand on layers, and what a mincow does where everything is refused.
#include "cow_driver.h"

namespace viewsh::viewfs {
namespace {

class StackTest : public testing::Test {
 protected:
  StackTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    make_lower(lower_);
    umask(022);
    before_ = fingerprint(lower_);
  }
  ~StackTest() override { EXPECT_EQ(fingerprint(lower_), before_); }

  std::shared_ptr<FileSystem> mount(const std::string& type, std::vector<std::string> layers,
                                    std::string* why = nullptr) {
    MountRequest request;
    request.type = type;
    request.at = "/";
    if (!layers.empty()) {
      request.layer = layers.back();
      layers.pop_back();
    }
    request.layers_below = std::move(layers);
    request.below = std::make_shared<PlainFs>(lower_);
    MountError error;
    auto fs = mount_cow(request, host_, &error);
    if (why != nullptr) *why = error.text;
    if (fs == nullptr && why == nullptr) ADD_FAILURE() << error.text;
    return fs;
  }
  /// What a layer is on disk.
  std::string state_of(const std::string& layer) {
    return fingerprint(host_.state_dir() + "/layers/" + layer + "/upper") +
           fingerprint(host_.state_dir() + "/layers/" + layer + "/links") +
           read_file(host_.state_dir() + "/layers/" + layer + "/log");
  }
  void make_base() {
    CowCalls base(mount("cow", {"base"}));
    ASSERT_EQ(base.write("a/1", O_WRONLY | O_TRUNC, 0, "base"), 0);
    ASSERT_EQ(base.write("t", O_WRONLY | O_APPEND, 0, "base"),
              0);  // has other names: d/hard, a/hard
    ASSERT_EQ(base.unlink("a/b/c/3"), 0);
    ASSERT_EQ(base.rename("d/e", "e", 0), 0);
    ASSERT_EQ(base.rename("d/fifo", "f/fifo", 0), 0);
    ASSERT_EQ(base.mkdir("made", 0755), 0);
    ASSERT_EQ(base.chmod("f", 0700), 0);
    shown_ = describe(base);
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::string before_;
  std::vector<std::string> shown_;
};

TEST_F(StackTest, ALayerShowsWhatItStandsOnAndWritesNothingOfIt) {
  make_base();
  const std::string base = state_of("base");
  {
    CowCalls work(mount("cow", {"base", "work"}));
    EXPECT_EQ(describe(work), shown_);
    // A name of a copied file that the base has never made.
    EXPECT_EQ(read_file(work.host("d/hard")), "top\nbase");
    ASSERT_EQ(work.write("a/hard", O_WRONLY | O_APPEND, 0, "work"), 0);
    EXPECT_EQ(read_file(work.host("t")), "top\nbasework");
    EXPECT_EQ(read_file(work.host("d/hard")), "top\nbasework");
    ASSERT_EQ(work.rename("e", "a/e", 0), 0);
    ASSERT_EQ(work.unlink("a/1"), 0);
    ASSERT_EQ(work.write("made/new", O_WRONLY | O_CREAT, 0644, "x"), 0);
    ASSERT_EQ(work.write("a/b/c/3", O_WRONLY | O_CREAT, 0644, "again"), 0);
  }
  EXPECT_EQ(state_of("base"), base);
  {
    CowCalls work(mount("cow", {"base", "work"}));
    EXPECT_EQ(read_file(work.host("a/e/4")), "four\n");
    EXPECT_EQ(read_file(work.host("a/b/c/3")), "again");
    EXPECT_EQ(read_file(work.host("d/hard")), "top\nbasework");
  }
  CowCalls again(mount("cow", {"base"}));
  EXPECT_EQ(describe(again), shown_);
}

TEST_F(StackTest, ALayerStandsOnWhatItWasMadeFor) {
  make_base();
  mount("cow", {"base", "work"});
  std::string why;
  EXPECT_EQ(mount("cow", {"work"}, &why), nullptr);
  EXPECT_EQ(
      why,
      "layer work: it was made to stand on the layer base: use it as --layer base --layer work");
  EXPECT_EQ(mount("cow", {"work", "base"}, &why), nullptr);
  EXPECT_EQ(
      why,
      "layer work: it was made to stand on the layer base: use it as --layer base --layer work");
  EXPECT_EQ(mount("cow", {"none", "other"}, &why), nullptr);
  EXPECT_EQ(why, "layer none: there is no such layer");
  lower_.swap(why);
  lower_ = temp_.path() + "/elsewhere";
  sh("cp -a " + why + " " + lower_);
  std::string refused;
  EXPECT_EQ(mount("cow", {"base"}, &refused), nullptr);
  EXPECT_EQ(refused, "layer base: it was made over " + why + ", not over " + lower_);
  lower_ = why;
}

TEST_F(StackTest, ReadersShareALayerAndWritersDont) {
  make_base();
  auto one = mount("cow", {"base", "one"});
  auto two = mount("cow", {"base", "two"});
  std::string why;
  EXPECT_EQ(mount("cow", {"base"}, &why), nullptr);
  EXPECT_EQ(why, "layer base: in use by view view-7 view-7");
  EXPECT_EQ(layer_user(host_.state_dir() + "/layers/base"), "view-7 view-7");
  one.reset();
  EXPECT_EQ(mount("cow", {"base"}, &why), nullptr);
  two.reset();
  auto writer = mount("cow", {"base"});
  EXPECT_EQ(mount("cow", {"base", "one"}, &why), nullptr);
  EXPECT_EQ(why, "layer base: in use by view view-7");
}

/// PlainFs says EROFS to every change, as a file system that is mounted read-only does.
TEST_F(StackTest, AMincowDoesInTheLayerWhatIsRefused) {
  CowCalls calls(mount("mincow", {"min"}));
  ASSERT_EQ(calls.write("a/b/2", O_WRONLY | O_APPEND, 0, "more"), 0);  // mode 0444
  EXPECT_EQ(read_file(calls.host("a/b/2")), "two\nmore");
  Attr attr{};
  ASSERT_EQ(calls.stat("a/b/2", &attr), 0);
  EXPECT_EQ(attr.stx_mode, S_IFREG | 0444);
  ASSERT_EQ(calls.write("a/b/2", O_WRONLY | O_APPEND, 0, "!"), 0);
  ASSERT_EQ(calls.chmod("a/b/2", 0400), 0);
  ASSERT_EQ(calls.stat("a/b/2", &attr), 0);
  EXPECT_EQ(attr.stx_mode, S_IFREG | 0400);
  ASSERT_EQ(calls.mkdir("new", 0755), 0);
  ASSERT_EQ(calls.rename("d/e", "new/e", 0), 0);
  ASSERT_EQ(calls.unlink("t"), 0);
  ASSERT_EQ(calls.link("a/1", "new/1"), 0);
  ASSERT_EQ(calls.symlink("l", "a/1"), 0);
  ASSERT_EQ(calls.rmdir("d/empty"), 0);
  ASSERT_EQ(calls.utimens("f/x", 77), 0);
  SetAttr owner;
  owner.uid = 0;
  ASSERT_TRUE(calls.fs().setattr("f/x", owner, calls.caller()));
  ASSERT_EQ(calls.stat("f/x", &attr), 0);
  EXPECT_EQ(attr.stx_uid, 0u);
  EXPECT_EQ(attr.stx_mtime.tv_sec, 77);
}

}  // namespace
}  // namespace viewsh::viewfs

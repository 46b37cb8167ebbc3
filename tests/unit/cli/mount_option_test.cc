#include "cli/mount_option.h"

#include "fake_engine.h"

namespace viewsh {
namespace {

using Options = std::map<std::string, std::string>;
using MountOptionTest = CliTest;

TEST_F(MountOptionTest, Bind) {
  MountSpec mount;
  EXPECT_FALSE(parse_bind("a:/at:ro", &mount));
  EXPECT_EQ(mount.type, "bind");
  EXPECT_EQ(mount.sources, std::vector<std::string>{dir() + "/a"});
  EXPECT_EQ(mount.at, "/at");
  EXPECT_EQ(mount.options, (Options{{"ro", ""}}));
}

TEST_F(MountOptionTest, ColonsCanBeEscapedAndTildesAreHome) {
  MountSpec mount;
  EXPECT_FALSE(parse_bind(R"(/a\:b:~/c)", &mount));
  EXPECT_EQ(mount.sources, std::vector<std::string>{"/a:b"});
  EXPECT_EQ(mount.at, dir() + "/c");
}

TEST_F(MountOptionTest, BindFaults) {
  for (const char* wrong : {"", "a", ":", "a:", ":b", "a:b:c:d", "a:b:rx", "a:b:ro,rw", "a:b:"}) {
    MountSpec mount;
    EXPECT_TRUE(parse_bind(wrong, &mount)) << wrong;
  }
}

TEST_F(MountOptionTest, MergeTakesTheLastPartAsMountPoint) {
  MountSpec mount;
  EXPECT_FALSE(parse_merge("/a:/b:/c:/at", &mount));
  EXPECT_EQ(mount.sources, (std::vector<std::string>{"/a", "/b", "/c"}));
  EXPECT_EQ(mount.at, "/at");
  mount = {};
  EXPECT_FALSE(parse_merge("/a:/b:/at:rw", &mount));
  EXPECT_EQ(mount.sources, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(mount.options, (Options{{"rw", ""}}));
  EXPECT_TRUE(parse_merge("/a:/at", &mount));
}

TEST_F(MountOptionTest, Tmpfs) {
  MountSpec mount;
  EXPECT_FALSE(parse_tmpfs("/t:size=64M,mode=1777", &mount));
  EXPECT_EQ(mount.options, (Options{{"mode", "1777"}, {"size", "64M"}}));
  EXPECT_TRUE(parse_tmpfs("/t:size=much", &mount));
  EXPECT_TRUE(parse_tmpfs("", &mount));
}

TEST_F(MountOptionTest, CopyOnWriteAndWhatItLeavesReal) {
  MountSpec mount;
  EXPECT_FALSE(parse_cow("/", &mount));
  EXPECT_EQ(mount.type, "cow");
  EXPECT_EQ(mount.at, "/");
  EXPECT_TRUE(mount.except.empty());
  mount = {};
  mount.place = {"--mincow"};
  EXPECT_FALSE(parse_mincow(R"(/srv:except=a/b,except=/srv/c\,d,except=/srv/x/../e\:f)", &mount));
  EXPECT_EQ(mount.type, "mincow");
  ASSERT_EQ(mount.except.size(), 3U);
  EXPECT_EQ(mount.except[0].path, "/srv/a/b");
  EXPECT_EQ(mount.except[0].place.text, "--mincow");
  EXPECT_EQ(mount.except[1].path, "/srv/c,d");
  EXPECT_EQ(mount.except[2].path, "/srv/e:f");
  EXPECT_TRUE(mount.options.empty());
  mount = {};
  EXPECT_FALSE(parse_cow("~:except=~/Downloads", &mount));
  EXPECT_EQ(mount.except.at(0).path, dir() + "/Downloads");
}

TEST_F(MountOptionTest, CopyOnWriteFaults) {
  for (const char* wrong :
       {"", ":except=a", "/a:", "/a:ro", "/a:except", "/a:except=", "/a:except=/b", "/a:except=.",
        "/a:except=../ab", "/a:except=b:x", "/:except=/"}) {
    MountSpec mount;
    EXPECT_TRUE(parse_cow(wrong, &mount)) << wrong;
  }
  MountSpec bind;
  EXPECT_NE(parse_bind("a:/at:except=x", &bind).text.find("'except' is no option of bind"),
            std::string::npos);
}

TEST_F(MountOptionTest, MountKeepsTheSourceOfAFuseServer) {
  MountSpec mount;
  EXPECT_FALSE(parse_mount(R"(fuse.sshfs:host\:/dir:/mnt:ro,reconnect)", &mount));
  EXPECT_EQ(mount.type, "fuse.sshfs");
  EXPECT_EQ(mount.sources, std::vector<std::string>{"host:/dir"});
  EXPECT_EQ(mount.options, (Options{{"ro", ""}, {"reconnect", ""}}));
  mount = {};
  EXPECT_FALSE(parse_mount("ext4:disk.img:/mnt", &mount));
  EXPECT_EQ(mount.sources, std::vector<std::string>{dir() + "/disk.img"});
  EXPECT_TRUE(parse_mount("ext4:disk.img", &mount));
}

TEST_F(MountOptionTest, Disk) {
  write("disk.img", "x");
  DeviceRequest device;
  EXPECT_FALSE(parse_disk("disk.img:/dev/vda:size=1G,ro", &device));
  EXPECT_EQ(device.path, "/dev/vda");
  EXPECT_EQ(device.size, 1U << 30);
  EXPECT_EQ(device.options, (Options{{"ro", ""}}));
  EXPECT_TRUE(parse_disk("none.img:/dev/vda", &device));
  EXPECT_FALSE(parse_disk("none.img:/dev/vda:create", &device));
}

}  // namespace
}  // namespace viewsh

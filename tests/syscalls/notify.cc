// inotify on files and directories, by whatever name they are changed.

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>

#include "support.h"

namespace viewsh_test {
namespace {

struct Event {
  uint32_t mask;
  std::string name;
};

class Notify : public SyscallTest {
 protected:
  void SetUp() override {
    SyscallTest::SetUp();
    fd_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_TRUE(fd_.ok());
  }
  long watch(const char* path, uint32_t mask) {
    return sys(SYS_inotify_add_watch, fd_.get(), path, mask);
  }
  /// True when an event with `mask` for `name` came, now or before the deadline.
  bool comes(uint32_t mask, const std::string& name) {
    return wait_until(
        [&] {
          collect();
          return std::any_of(events_.begin(), events_.end(), [&](const Event& event) {
            return (event.mask & mask) != 0 && event.name == name;
          });
        },
        std::chrono::seconds(5));
  }
  bool came(uint32_t mask, const std::string& name) {
    collect();
    return std::any_of(events_.begin(), events_.end(), [&](const Event& event) {
      return (event.mask & mask) != 0 && event.name == name;
    });
  }
  void forget() {
    collect();
    events_.clear();
  }
  int fd() const { return fd_.get(); }

 private:
  void collect() {
    alignas(inotify_event) std::array<char, 8192> buffer;
    for (;;) {
      ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
      if (n <= 0) return;
      for (ssize_t at = 0; at < n;) {
        inotify_event event;
        std::memcpy(&event, buffer.data() + at, sizeof(event));
        std::string name;
        if (event.len > 0) name = buffer.data() + at + sizeof(event);
        events_.push_back({event.mask, name});
        at += static_cast<ssize_t>(sizeof(event) + event.len);
      }
    }
  }
  Fd fd_;
  std::vector<Event> events_;
};

TEST_F(Notify, ChangesInADirectory) {
  ASSERT_GT(watch(".", IN_ALL_EVENTS), 0);
  write_file("f", "content");
  EXPECT_TRUE(comes(IN_CREATE, "f"));
  EXPECT_TRUE(comes(IN_MODIFY, "f"));
  EXPECT_TRUE(comes(IN_CLOSE_WRITE, "f"));
  ASSERT_EQ(::chmod("f", 0600), 0);
  EXPECT_TRUE(comes(IN_ATTRIB, "f"));
  ASSERT_EQ(::rename("f", "g"), 0);
  EXPECT_TRUE(comes(IN_MOVED_FROM, "f"));
  EXPECT_TRUE(comes(IN_MOVED_TO, "g"));
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_TRUE(comes(IN_CREATE | IN_ISDIR, "d"));
  ASSERT_EQ(::unlink("g"), 0);
  EXPECT_TRUE(comes(IN_DELETE, "g"));
}

TEST_F(Notify, ChangesOfAFile) {
  write_file("f", "before");
  ASSERT_GT(watch("f", IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF), 0);
  Fd writer = open_fd("f", O_WRONLY);
  ASSERT_EQ(::write(writer.get(), "after", 5), 5);
  EXPECT_TRUE(comes(IN_MODIFY, ""));
  ASSERT_EQ(::rename("f", "g"), 0);
  EXPECT_TRUE(comes(IN_MOVE_SELF, ""));
  writer.reset(-1);
  ASSERT_EQ(::unlink("g"), 0);
  EXPECT_TRUE(comes(IN_DELETE_SELF, ""));
  EXPECT_TRUE(comes(IN_IGNORED, ""));
}

TEST_F(Notify, ThroughLinksAndNot) {
  write_file("f", "");
  ASSERT_EQ(::symlink("f", "link"), 0);
  ASSERT_GT(watch("link", IN_MODIFY), 0);
  write_file("f", "changed");
  EXPECT_TRUE(comes(IN_MODIFY, ""));
  long link = watch("link", IN_ATTRIB | IN_DELETE_SELF | IN_DONT_FOLLOW);
  ASSERT_GT(link, 0);
  forget();
  ASSERT_EQ(::unlink("link"), 0);
  EXPECT_TRUE(comes(IN_DELETE_SELF, ""));
}

TEST_F(Notify, SameFileSameWatch) {
  write_file("f", "");
  ASSERT_EQ(::link("f", "g"), 0);
  long first = watch("f", IN_MODIFY);
  EXPECT_EQ(watch("f", IN_MODIFY), first);
  EXPECT_EQ(watch("g", IN_MODIFY), first);
  EXPECT_EQ(sys(SYS_inotify_rm_watch, fd(), first), 0);
  EXPECT_EQ(sys(SYS_inotify_rm_watch, fd(), first), -EINVAL);
}

TEST_F(Notify, Errors) {
  write_file("f", "");
  EXPECT_EQ(watch("none", IN_MODIFY), -ENOENT);
  EXPECT_EQ(watch("f", IN_MODIFY | IN_ONLYDIR), -ENOTDIR);
  EXPECT_EQ(watch("f", 0), -EINVAL);
  EXPECT_EQ(sys(SYS_inotify_add_watch, 9999, "f", IN_MODIFY), -EBADF);
  Fd file = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_inotify_add_watch, file.get(), "f", IN_MODIFY), -EINVAL);
}

TEST_F(Notify, ChangesByAnotherProcess) {
  ASSERT_GT(watch(".", IN_CREATE), 0);
  EXPECT_TRUE(exited_with(run_child([] {
                            write_file("by_child", "");
                            return 0;
                          }),
                          0));
  EXPECT_TRUE(comes(IN_CREATE, "by_child"));
  EXPECT_FALSE(came(IN_CREATE, "nobody"));
}

TEST_F(Notify, CanBePolled) {
  ASSERT_GT(watch(".", IN_CREATE), 0);
  pollfd entry = {fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
  write_file("f", "");
  EXPECT_EQ(::poll(&entry, 1, 5000), 1);
}

}  // namespace
}  // namespace viewsh_test

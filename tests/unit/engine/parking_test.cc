#include "parking.h"

#include <gtest/gtest.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

namespace viewsh {
namespace {

class ParkingTest : public testing::Test {
 protected:
  void SetUp() override {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before_);
    children_.reset(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    ours_.reset(fds[0]);
    theirs_.reset(fds[1]);
  }
  void TearDown() override { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  sigset_t before_{};
  UniqueFd children_, ours_, theirs_;
  Parking parking_;
};

TEST_F(ParkingTest, WorkOfNoTaskBeginsLaterAndCanWait) {
  std::string seen;
  const int what = 1;
  parking_.start(1, [&] {
    parking_.later([&] {
      seen += 'b';
      EXPECT_TRUE(parking_.wait(&what).ok());
      seen += 'c';
    });
    seen += 'a';
  });
  EXPECT_EQ(seen, "a");
  parking_.run_ready();
  EXPECT_EQ(seen, "ab");
  parking_.wake(&what);
  parking_.run_ready();
  EXPECT_EQ(seen, "abc");
  EXPECT_TRUE(parking_.empty());
}

TEST_F(ParkingTest, CallsGoOnInOrderWhenTheyAreWoken) {
  std::string seen;
  const int one = 1;
  const int two = 2;
  for (const char name : {'a', 'b', 'c'}) {
    parking_.start(name, [&, name] {
      EXPECT_TRUE(parking_.can_wait());
      EXPECT_TRUE(parking_.wait(name == 'b' ? &two : &one).ok());
      seen += name;
    });
  }
  EXPECT_FALSE(parking_.can_wait());
  EXPECT_TRUE(parking_.active());
  parking_.wake(&one);
  EXPECT_EQ(seen, "");
  parking_.run_ready();
  EXPECT_EQ(seen, "ac");
  EXPECT_TRUE(parking_.parked('b'));
  parking_.wake(&two);
  parking_.run_ready();
  EXPECT_EQ(seen, "acb");
  EXPECT_TRUE(parking_.empty());
  EXPECT_FALSE(parking_.active());
}

TEST_F(ParkingTest, ADescriptorIsToldOf) {
  std::string got;
  ASSERT_TRUE(parking_
                  .watch(ours_.get(),
                         [&] {
                           char text[16];
                           const ssize_t n = read(ours_.get(), text, sizeof text);
                           got.assign(text, n > 0 ? static_cast<size_t>(n) : 0);
                           parking_.wake(&got);
                         })
                  .ok());
  std::string answer;
  parking_.start(1, [&] {
    while (got.empty()) ASSERT_TRUE(parking_.wait(&got).ok());
    answer = got;
  });
  EXPECT_EQ(answer, "");
  ASSERT_EQ(write(theirs_.get(), "yes", 3), 3);
  parking_.sleep(children_.get());
  parking_.run_ready();
  EXPECT_EQ(answer, "yes");
  parking_.unwatch(ours_.get());
  EXPECT_FALSE(parking_.active());
}

TEST_F(ParkingTest, WritingIsToldOfWhereItIsWanted) {
  int told = 0;
  ASSERT_TRUE(parking_.watch(ours_.get(), [&] { ++told; }).ok());
  parking_.want_write(ours_.get(), true);
  parking_.sleep(children_.get());
  EXPECT_EQ(told, 1);
  parking_.unwatch(ours_.get());
}

TEST_F(ParkingTest, WhoIsInterruptedDoesNotWaitAgain) {
  std::vector<int> errors;
  const int never = 0;
  for (const pid_t tid : {1, 2}) {
    parking_.start(tid, [&] {
      for (int i = 0; i < 2; ++i) {
        const auto waited = parking_.wait(&never);
        errors.push_back(waited.ok() ? 0 : waited.error().value());
      }
    });
  }
  parking_.interrupt(2);
  parking_.run_ready();
  EXPECT_EQ(errors, (std::vector<int>{EINTR, EINTR}));
  EXPECT_TRUE(parking_.parked(1));
  EXPECT_FALSE(parking_.parked(2));
  parking_.interrupt_all();
  EXPECT_TRUE(parking_.empty());
  EXPECT_EQ(errors.size(), 4U);
}

TEST_F(ParkingTest, ASignalOfTheTaskInterrupts) {
  const pid_t child = fork();
  if (child == 0) {
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    raise(SIGSTOP);  // what is sent then stays pending
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  int error = -1;
  const int never = 0;
  parking_.start(child, [&] {
    const auto waited = parking_.wait(&never);
    error = waited.ok() ? 0 : waited.error().value();
  });
  for (int i = 0; i < 3; ++i) parking_.sleep(children_.get());
  parking_.run_ready();
  EXPECT_EQ(error, -1);
  kill(child, SIGWINCH);  // ignored
  parking_.interrupt_signalled();
  parking_.run_ready();
  EXPECT_EQ(error, -1);
  kill(child, SIGINT);
  for (int i = 0; i < 100 && error == -1; ++i) {
    parking_.sleep(children_.get());
    parking_.run_ready();
  }
  EXPECT_EQ(error, EINTR);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
}

}  // namespace
}  // namespace viewsh

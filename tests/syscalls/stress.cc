// Many threads and processes that open, rename and remove at once.

#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "support.h"

namespace viewsh_test {
namespace {

using Stress = SyscallTest;

TEST_F(Stress, SixtyFourThreadsOpenAndRename) {
  constexpr int kThreads = 64;
  constexpr int kRounds = 30;
  std::atomic<int> errors{0};
  ASSERT_EQ(::mkdir("shared", 0755), 0);
  auto body = [&](int id) {
    std::string own = "t" + std::to_string(id);
    if (::mkdir(own.c_str(), 0755) != 0) ++errors;
    for (int i = 0; i < kRounds; ++i) {
      std::string text = own + " " + std::to_string(i);
      write_file(own + "/new", text);
      if (::rename((own + "/new").c_str(), (own + "/current").c_str()) != 0) ++errors;
      if (read_file(own + "/current") != text) ++errors;
      write_file(own + "/for_all", own);
      if (::rename((own + "/for_all").c_str(), "shared/latest") != 0) ++errors;
      std::string latest = read_file("shared/latest");
      if (latest.empty() || latest[0] != 't') ++errors;
    }
    if (::unlink((own + "/current").c_str()) != 0) ++errors;
    if (::rmdir(own.c_str()) != 0) ++errors;
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < kThreads; ++id) threads.emplace_back(body, id);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(names_in("."), std::vector<std::string>{"shared"});
  EXPECT_EQ(names_in("shared"), std::vector<std::string>{"latest"});
}

TEST_F(Stress, ExclusiveCreationHasOneWinner) {
  constexpr int kThreads = 16;
  for (int round = 0; round < 30; ++round) {
    std::string name = "lock" + std::to_string(round);
    std::atomic<int> winners{0};
    std::atomic<int> losers{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&] {
        Fd fd(sys(SYS_openat, AT_FDCWD, name.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644));
        if (fd.ok()) ++winners;
        if (!fd.ok() && fd.get() == -EEXIST) ++losers;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(losers, kThreads - 1);
  }
}

TEST_F(Stress, DirectoriesHaveOneWinnerToo) {
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 16; ++id) {
      threads.emplace_back([&] { winners += sys(SYS_mkdir, "d", 0755) == 0 ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(::rmdir("d"), 0);
  }
}

TEST_F(Stress, RenameHasOneWinner) {
  for (int round = 0; round < 30; ++round) {
    write_file("token", "");
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 16; ++id) {
      threads.emplace_back([&, id] {
        winners += ::rename("token", ("taken" + std::to_string(id)).c_str()) == 0 ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    std::vector<std::string> left = names_in(".");
    ASSERT_EQ(left.size(), 1U);
    ASSERT_EQ(::unlink(left[0].c_str()), 0);
  }
}

TEST_F(Stress, ProcessesThatDieInTheMiddle) {
  for (int round = 0; round < 20; ++round) {
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      pid_t pid = ::fork();
      if (pid == 0) {
        for (int k = 0;; ++k) {
          std::string name = "x" + std::to_string(i) + "_" + std::to_string(k % 4);
          write_file(name, "x");
          ::unlink(name.c_str());
        }
      }
      children.push_back(pid);
    }
    EXPECT_TRUE(wait_until([] { return !names_in(".").empty(); }));
    for (pid_t pid : children) ASSERT_EQ(::kill(pid, SIGKILL), 0);
    for (pid_t pid : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_TRUE(WIFSIGNALED(status));
    }
    for (const std::string& name : names_in(".")) ASSERT_EQ(::unlink(name.c_str()), 0);
  }
}

TEST_F(Stress, ShellsInParallel) {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      std::string name = "s" + std::to_string(i);
      std::string command = "mkdir " + name + " && cd " + name +
                            " && echo text > a && cp a b && mv b c && cat c && cd .. && rm -r " +
                            name;
      Captured result = capture([&] {
        ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
        return 1;
      });
      if (result.output == "text\n" && exited_with(result.status, 0)) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 16);
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

}  // namespace
}  // namespace viewsh_test

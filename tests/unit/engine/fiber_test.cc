#include "base/fiber.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace viewsh {
namespace {

TEST(Fiber, StopsInTheMiddleAndGoesOn) {
  std::string seen;
  Fiber fiber([&] {
    EXPECT_NE(Fiber::current(), nullptr);
    for (const char step : {'a', 'b', 'c'}) {
      const std::string kept(3, step);  // on its stack meanwhile
      Fiber::yield();
      seen += kept;
    }
  });
  EXPECT_EQ(Fiber::current(), nullptr);
  fiber.resume();
  EXPECT_EQ(seen, "");
  fiber.resume();
  EXPECT_EQ(seen, "aaa");
  EXPECT_EQ(Fiber::current(), nullptr);
  fiber.resume();
  EXPECT_FALSE(fiber.done());
  fiber.resume();
  EXPECT_TRUE(fiber.done());
  EXPECT_EQ(seen, "aaabbbccc");
}

TEST(Fiber, ManyTakeTurns) {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) {
    fibers.push_back(std::make_unique<Fiber>([&order, i] {
      order.push_back(i);
      Fiber::yield();
      order.push_back(100 + i);
    }));
  }
  for (const auto& fiber : fibers) fiber->resume();
  for (auto it = fibers.rbegin(); it != fibers.rend(); ++it) (*it)->resume();
  ASSERT_EQ(order.size(), 40U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(order[static_cast<size_t>(i)], i);
    EXPECT_EQ(order[static_cast<size_t>(20 + i)], 119 - i);
    EXPECT_TRUE(fibers[static_cast<size_t>(i)]->done());
  }
}

int depth_of(int left) {
  char page[1024];
  memset(page, left, sizeof page);
  if (left == 0) return page[17];
  return 1 + depth_of(left - 1) + (page[5] == left ? 0 : 1000000);
}

TEST(Fiber, HasRoomForDeepCallsAndItsStackIsUsedAgain) {
  for (int round = 0; round < 50; ++round) {
    int depth = 0;
    Fiber fiber([&] {
      Fiber::yield();
      depth = depth_of(100);
    });
    fiber.resume();
    fiber.resume();
    EXPECT_TRUE(fiber.done());
    EXPECT_EQ(depth, 100);
  }
}

TEST(Fiber, OneThatNeverBeganCanGo) {
  bool ran = false;
  {
    const Fiber fiber([&] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

TEST(FiberDeathTest, OneThatWaitsMayNotGo) {
  EXPECT_DEATH(
      {
        Fiber fiber([] { Fiber::yield(); });
        fiber.resume();
      },
      "a fiber that waits is destroyed");
}

}  // namespace
}  // namespace viewsh

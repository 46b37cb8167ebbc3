#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace viewsh {

/// A function with a stack of its own, which can stop in the middle and go on later. All fibers
/// belong to one thread and take turns: resume() comes back when the body yields or ends.
/// makecontext(3)
class Fiber {
 public:
  /// Nothing runs before the first resume().
  explicit Fiber(std::function<void()> body);
  /// It must have ended: what is on its stack could not be destroyed.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Not from inside of a fiber.
  void resume();
  bool done() const { return done_; }

  /// Back to who called resume(). Only inside of a fiber.
  static void yield();
  /// The one that is running; null outside.
  static Fiber* current();

 private:
  class Stack;
  static void enter();
  void run();
  void leave();

  std::function<void()> body_;
  std::unique_ptr<Stack> stack_;
  ucontext_t here_{};
  ucontext_t back_{};
  bool done_ = false;
  void* fake_here_ = nullptr;  ///< what AddressSanitizer keeps of a stack that isn't in use
  void* fake_back_ = nullptr;
  const void* back_stack_ = nullptr;
  size_t back_size_ = 0;
};

}  // namespace viewsh

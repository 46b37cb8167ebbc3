#include "base/fiber.h"

#include <sys/mman.h>

#include <utility>
#include <vector>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace viewsh {

namespace {

thread_local Fiber* running = nullptr;

#if defined(__SANITIZE_ADDRESS__)
void leaving(void** keep, const void* stack, size_t size) {
  __sanitizer_start_switch_fiber(keep, stack, size);
}
void arrived(void* kept, const void** stack, size_t* size) {
  __sanitizer_finish_switch_fiber(kept, stack, size);
}
#else
void leaving(void** keep, const void* stack, size_t size) { (void)keep, (void)stack, (void)size; }
void arrived(void* kept, const void** stack, size_t* size) { (void)kept, (void)stack, (void)size; }
#endif

}  // namespace

/// Mapped memory with a page below it that faults. A few are kept for the next fibers.
class Fiber::Stack {
 public:
  static constexpr size_t kSize = size_t{1} << 20;  // of which only what is used exists
  static constexpr size_t kGuard = 4096;
  static constexpr size_t kKept = 4;

  Stack() {
    if (!spare().empty()) {
      memory_ = spare().back();
      spare().pop_back();
      return;
    }
    memory_ = mmap(nullptr, kSize + kGuard, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    CHECK(memory_ != MAP_FAILED, "no memory for a stack");
    CHECK(mprotect(memory_, kGuard, PROT_NONE) == 0, "no memory for a stack");
  }
  ~Stack() {
    if (spare().size() < kKept) {
      spare().push_back(memory_);
    } else {
      munmap(memory_, kSize + kGuard);
    }
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  void* bottom() const { return static_cast<char*>(memory_) + kGuard; }

 private:
  static std::vector<void*>& spare() {
    thread_local std::vector<void*> stacks;
    return stacks;
  }
  void* memory_;
};

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {}

Fiber::~Fiber() { CHECK(done_ || !stack_, "a fiber that waits is destroyed"); }

Fiber* Fiber::current() { return running; }

void Fiber::resume() {
  CHECK(running == nullptr && !done_, "resumed from a fiber, or after its end");
  if (!stack_) {
    stack_ = std::make_unique<Stack>();
    CHECK(getcontext(&here_) == 0, "the context can't be switched");
    here_.uc_stack.ss_sp = stack_->bottom();
    here_.uc_stack.ss_size = Stack::kSize;
    here_.uc_link = nullptr;
    makecontext(&here_, &Fiber::enter, 0);
  }
  running = this;
  leaving(&fake_back_, stack_->bottom(), Stack::kSize);
  CHECK(swapcontext(&back_, &here_) == 0, "the context can't be switched");
  arrived(fake_back_, nullptr, nullptr);
  running = nullptr;
  if (done_) stack_.reset();
}

void Fiber::enter() { running->run(); }

void Fiber::run() {
  arrived(nullptr, &back_stack_, &back_size_);
  body_();
  body_ = nullptr;
  done_ = true;
  leave();
}

void Fiber::leave() {
  // The stack of one that has ended isn't kept.
  leaving(done_ ? nullptr : &fake_here_, back_stack_, back_size_);
  CHECK(swapcontext(&here_, &back_) == 0, "the context can't be switched");
  arrived(fake_here_, &back_stack_, &back_size_);
}

void Fiber::yield() {
  CHECK(running != nullptr, "outside of a fiber");
  running->leave();
}

}  // namespace viewsh

#pragma once

#include <pthread.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "random_stream.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// Feeds streams to tasks through FIFOs of the view's scratch directory, one per open. One thread
/// serves them all; it starts with the first and none of it ever makes the engine wait.
///
/// A stream starts with both ends held here and the pipe full, so that the task's open(2) finds a
/// writer at once. When the pipe has room somebody has read a page of it: the end for reading is
/// closed, and the name goes. From then on EPIPE says that the last reader is gone, and ends the
/// stream. Of the streams of which no page was read only the last kUnread are kept so; the others
/// are left to who has them open, and end if there is no one.
class StreamFeeder {
 public:
  static constexpr size_t kUnread = 16;

  explicit StreamFeeder(Host& host) : host_(host) {}
  ~StreamFeeder();
  StreamFeeder(const StreamFeeder&) = delete;
  StreamFeeder& operator=(const StreamFeeder&) = delete;

  /// The path of a FIFO that gives the stream to who opens it for reading. EMFILE, ENOSPC...
  Result<std::string> open(RandomStream stream);
  /// Streams that are fed now. For tests.
  size_t streams() const;

 private:
  struct Stream;
  Result<void> start();
  static void* run(void* self);
  void serve();
  void release(Stream& stream);
  bool feed(Stream& stream);

  Host& host_;
  std::string directory_;
  uint64_t counter_ = 0;
  int wake_ = -1;  ///< eventfd: the list has changed, or the end
  pthread_t thread_{};
  bool running_ = false;
  mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  bool stop_ = false;                             ///< under mutex_
  std::vector<std::shared_ptr<Stream>> streams_;  ///< under mutex_
};

}  // namespace viewsh

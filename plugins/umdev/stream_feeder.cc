#include "stream_feeder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace viewsh {
namespace {

constexpr size_t kChunk = 4096;  // a page, so that a write to a pipe takes all of it or nothing

class Lock {
 public:
  explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Lock() { pthread_mutex_unlock(&mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

/// All signals blocked in this thread, the old mask at the end. A thread made meanwhile has them
/// blocked for good: signals of the engine go to its loop, and a write without a reader is EPIPE.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t old_;
};

}  // namespace

/// One FIFO. `reader` and `name` are there until somebody has read. After start() only the thread
/// touches it.
struct StreamFeeder::Stream {
  explicit Stream(RandomStream from) : source(from) {}
  ~Stream() {
    if (reader >= 0) ::close(reader);
    if (writer >= 0) ::close(writer);
    if (!name.empty()) ::unlink(name.c_str());
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  RandomStream source;
  std::string name;
  int reader = -1;
  int writer = -1;
  bool chunk_ready = false;
  unsigned char chunk[kChunk];
};

StreamFeeder::~StreamFeeder() {
  if (running_) {
    {
      Lock lock(mutex_);
      stop_ = true;
    }
    uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);  // can only fail where the thread is awake anyway
    pthread_join(thread_, nullptr);
  }
  streams_.clear();
  if (wake_ >= 0) ::close(wake_);
  if (!directory_.empty()) ::rmdir(directory_.c_str());
}

Result<void> StreamFeeder::start() {
  if (running_) return {};
  if (directory_.empty()) {
    TRY_ASSIGN(directory_, host_.scratch_dir("umdev", true));
  }
  if (wake_ < 0) wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return Errno::last();
  BlockSignals block;
  int failed = pthread_create(&thread_, nullptr, run, this);
  if (failed != 0) return Errno(failed);
  running_ = true;
  return {};
}

Result<std::string> StreamFeeder::open(RandomStream source) {
  BlockSignals block;  // SIGPIPE of the first writes
  TRY(start());
  auto stream = std::make_shared<Stream>(source);
  std::string name = directory_ + "/stream-" + std::to_string(counter_++);
  // The mode is set apart from the making, since the umask takes from it.
  if (::mkfifo(name.c_str(), 0600) < 0) return Errno::last();
  stream->name = name;
  if (::chmod(name.c_str(), 0600) < 0) return Errno::last();
  stream->reader = ::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (stream->reader < 0) return Errno::last();
  stream->writer = ::open(name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (stream->writer < 0) return Errno::last();
  if (!feed(*stream)) return Errno(EIO);
  {
    Lock lock(mutex_);
    streams_.push_back(std::move(stream));
  }
  uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);  // EAGAIN: it is being woken
  return name;
}

size_t StreamFeeder::streams() const {
  Lock lock(mutex_);
  return streams_.size();
}

/// Writes until the pipe is full. False: no reader is left.
bool StreamFeeder::feed(Stream& stream) {
  for (;;) {
    if (!stream.chunk_ready) {
      stream.source.fill(stream.chunk, kChunk);
      stream.chunk_ready = true;
    }
    ssize_t done = ::write(stream.writer, stream.chunk, kChunk);
    if (done < 0) return errno == EAGAIN || errno == EINTR;
    stream.chunk_ready = false;
  }
}

/// Leaves the stream to the tasks that have it open.
void StreamFeeder::release(Stream& stream) {
  if (stream.reader < 0) return;
  ::close(std::exchange(stream.reader, -1));
  ::unlink(stream.name.c_str());
  stream.name.clear();
}

void* StreamFeeder::run(void* self) {
  static_cast<StreamFeeder*>(self)->serve();
  return nullptr;
}

void StreamFeeder::serve() {
  for (;;) {
    std::vector<std::shared_ptr<Stream>> now;
    {
      Lock lock(mutex_);
      if (stop_) return;
      now = streams_;
    }
    size_t unread = 0;
    for (auto stream = now.rbegin(); stream != now.rend(); ++stream) {
      if ((*stream)->reader >= 0 && ++unread > kUnread) release(**stream);
    }
    std::vector<pollfd> fds = {{wake_, POLLIN, 0}};
    for (const auto& stream : now) fds.push_back({stream->writer, POLLOUT, 0});
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    uint64_t count;
    if (fds[0].revents != 0) (void)!::read(wake_, &count, sizeof count);  // only to be reset
    std::vector<std::shared_ptr<Stream>> ended;
    for (size_t i = 0; i < now.size(); ++i) {
      if (fds[i + 1].revents == 0) continue;
      release(*now[i]);
      if (!feed(*now[i])) ended.push_back(now[i]);
    }
    if (ended.empty()) continue;
    Lock lock(mutex_);
    std::erase_if(streams_, [&](const auto& stream) {
      return std::find(ended.begin(), ended.end(), stream) != ended.end();
    });
  }
}

}  // namespace viewsh

#include "image_flusher.h"

#include <csignal>

namespace viewsh {

ImageFlusher::ImageFlusher(FileSystem& fs, std::shared_ptr<std::mutex> mutex)
    : fs_(fs), mutex_(std::move(mutex)) {
  // Signals are for the thread that waits for the view's processes.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ImageFlusher::stop() {
  {
    const std::lock_guard<std::mutex> lock(own_);
    ended_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ImageFlusher::run() {
  std::unique_lock<std::mutex> lock(own_);
  while (!wake_.wait_for(lock, std::chrono::seconds(kSeconds), [this] { return ended_; })) {
    lock.unlock();
    {
      const std::lock_guard<std::mutex> used(*mutex_);
      (void)fs_.sync_all();
    }
    lock.lock();
  }
}

}  // namespace viewsh

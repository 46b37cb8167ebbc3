#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "viewsh/filesystem.h"

namespace viewsh {

/// Brings what was changed to disk every few seconds, as the kernel does (commit= of ext4(5)), in a
/// thread of its own that ends with the object. What fails then fails again at the next sync.
class ImageFlusher {
 public:
  static constexpr int kSeconds = 5;

  /// `mutex` guards `fs`, and is held while it is synced. `fs` outlives this object.
  ImageFlusher(FileSystem& fs, std::shared_ptr<std::mutex> mutex);
  ~ImageFlusher() { stop(); }
  ImageFlusher(const ImageFlusher&) = delete;
  ImageFlusher& operator=(const ImageFlusher&) = delete;
  /// Not while the lock is held.
  void stop();

 private:
  void run();

  FileSystem& fs_;
  std::shared_ptr<std::mutex> mutex_;
  std::mutex own_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace viewsh

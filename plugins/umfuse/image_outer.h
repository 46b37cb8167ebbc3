#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ext_device.h"
#include "image_written.h"

namespace viewsh {

class LockedFs;

/// The file around an image that is written, where a file system of the view has it: one whose
/// files are kept elsewhere (another image, a server), or found by more than the kernel knows (a
/// layer). What gets into the image is there for the kernel by then, and has to be brought on, as
/// the kernel's loop device does at each flush: lo_req_flush() of drivers/block/loop.c. Whatever
/// the error of that is, that of the image is EIO.
///
/// Where the other one is an image as well, which is used by several threads, this is done at each
/// flush: the order of the image's own writes is kept. Others have to wait (a server) or are the
/// loop's alone: for these sync() does it, while nobody has the image's lock.
class ImageOuter final : public ExtAround {
 public:
  /// `below`: the view that the image is mounted over; `path`: of its file there, without a slash
  /// at the front. Null: the kernel alone has it.
  static std::shared_ptr<ImageOuter> find(const std::shared_ptr<FileSystem>& below,
                                          const std::string& path);

  /// The file, which stays the caller's, and its host path. Before anything else.
  void set_file(int fd, std::string host) { fd_ = fd, host_ = std::move(host); }
  void wrote(uint64_t offset, uint64_t size) override;
  Result<void> flush() override { return image_ != nullptr ? bring_on() : Result<void>(); }
  /// All that was written before is where it has to be. May wait for a server. EIO.
  Result<void> sync() { return image_ != nullptr ? Result<void>() : bring_on(); }
  /// Any thread may do that at any moment.
  bool by_any_thread() const { return image_ != nullptr; }

 private:
  ImageOuter(std::shared_ptr<FileSystem> below, std::shared_ptr<LockedFs> image)
      : below_(std::move(below)), image_(std::move(image)) {}
  std::string host() const;
  Result<void> bring_on();

  std::shared_ptr<FileSystem> below_;
  std::shared_ptr<LockedFs> image_;  ///< in which the file is, where that can be asked directly
  int fd_ = -1;
  std::string host_;
  std::mutex mutex_;
  std::vector<FilePart> parts_;  ///< that the other file system wasn't told of
  uint64_t written_ = 0;         ///< counts writes
  uint64_t brought_ = 0;         ///< those up to this one are where they have to be
};

}  // namespace viewsh

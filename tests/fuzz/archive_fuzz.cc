#include <unistd.h>

#include "archive_image.h"
#include "check_image.h"
#include "fuzz.h"
#include "open_image.h"
#include "sparse.h"

namespace viewsh {
namespace {

/// Contents that are kept for later go into files without a name, wherever there may be some.
Result<std::string> scratch() {
  const char* dir = ::getenv("TMPDIR");
  return std::string(dir != nullptr ? dir : "/tmp");
}

void use(UniqueFd fd, const std::string& type) {
  auto source = ImageSource::open(std::move(fd), 0, 0);
  require(source.ok(), "a source that can't be opened");
  ImageRequest request;
  request.type = type;
  request.scratch = scratch;
  MountError error;
  const auto image =
      open_image(std::make_shared<const ImageSource>(std::move(*source)), request, &error);
  require(error.text.find('\n') == std::string::npos, "a reason of two lines");
  require(image != nullptr || !error.text.empty(), "an image is refused without a reason");
  if (image == nullptr) return;
  std::vector<NodeId> nodes;
  check_image(*image, &nodes);
}

}  // namespace

void iso_fuzz_one(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  use(sparse_file(&bytes), "iso9660");
}

void archive_fuzz_one(const uint8_t* data, size_t size) {
  constexpr const char* kTypes[] = {"auto", "tar", "zip", "7z", "cpio", "ar", "rar", "xar"};
  Bytes bytes(data, size);
  const std::string type = kTypes[bytes.one() % std::size(kTypes)];
  const std::string content = bytes.rest();
  UniqueFd fd = nameless_file();
  const ssize_t put = ::pwrite(fd.get(), content.data(), content.size(), 0);
  require(put == static_cast<ssize_t>(content.size()), "pwrite");
  use(std::move(fd), type);
}

}  // namespace viewsh

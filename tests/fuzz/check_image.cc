#include "check_image.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace viewsh {
namespace {

constexpr size_t kMostNodes = 300;
constexpr int kDeepest = 40;
/// What of a content is unpacked. A hole of any size is no work, but data of it might be.
constexpr uint64_t kBiggest = uint64_t{16} << 20;

class Check {
 public:
  Check(Image& image, std::vector<NodeId>* nodes) : image_(image), nodes_(*nodes) {}

  void walk(NodeId directory, int depth) {
    nodes_.push_back(directory);
    use(directory);
    const auto entries = image_.list(directory);
    if (!entries) return;
    std::set<std::string> names;
    for (const DirEntry& entry : *entries) {
      check_name(entry.name);
      require(names.insert(entry.name).second, "a name comes twice");
      require(entry.ino != 0, "a node has the number 0");
      const auto node = image_.lookup(directory, entry.name);
      if (!node || nodes_.size() >= kMostNodes) continue;
      const auto attr = image_.getattr(*node);
      if (attr && S_ISDIR(attr->stx_mode) && depth < kDeepest) {
        walk(*node, depth + 1);
        continue;
      }
      nodes_.push_back(*node);
      use(*node);
    }
  }

 private:
  static void check_name(const std::string& name) {
    require(!name.empty() && name != "." && name != "..", "a name that isn't one");
    require(name.find('/') == std::string::npos && name.find('\0') == std::string::npos,
            "a name with / or NUL");
    require(name.size() <= NAME_MAX, "a name that is too long");
  }

  void use(NodeId node) {
    const auto target = image_.readlink(node);
    if (target) {
      require(!target->empty() && target->size() < PATH_MAX, "a link of no or too many bytes");
      require(target->find('\0') == std::string::npos, "a link with NUL");
    }
    if (const auto names = image_.listxattr(node)) {
      for (const std::string& name : *names) (void)image_.getxattr(node, name);
    }
    (void)image_.getflags(node);
    const auto attr = image_.getattr(node);
    if (!attr) return;
    (void)image_.acl_allows(node, *attr, R_OK, Caller{1, 1});
    require(attr->stx_ino == node, "a node has two numbers");
    if (!S_ISREG(attr->stx_mode)) return;
    read_parts(node, attr->stx_size);
    if (attr->stx_size <= kBiggest) unpack(node, attr->stx_size);
  }

  void read_parts(NodeId node, uint64_t size) {
    auto* writable = dynamic_cast<WritableImage*>(&image_);
    if (writable == nullptr) return;
    char buffer[5000];
    for (const uint64_t at : {uint64_t{0}, size / 2, size - std::min<uint64_t>(size, 100)}) {
      const auto got = writable->pread(node, buffer, sizeof buffer, at);
      require(!got || *got <= sizeof buffer, "more was read than there is room");
    }
  }

  void unpack(NodeId node, uint64_t size) {
    const UniqueFd to = nameless_file();
    const auto done = image_.extract(node, to.get());
    struct stat st {};
    require(::fstat(to.get(), &st) == 0, "fstat");
    require(!done || static_cast<uint64_t>(st.st_size) == size, "a content of another length");
  }

  Image& image_;
  std::vector<NodeId>& nodes_;
};

}  // namespace

void check_image(Image& image, std::vector<NodeId>* nodes) {
  Check(image, nodes).walk(image.root(), 0);
  (void)image.statfs();
}

void require(bool good, const char* what) {
  if (good) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

UniqueFd nameless_file() {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  require(fd.valid(), "memfd_create");
  return fd;
}

}  // namespace viewsh

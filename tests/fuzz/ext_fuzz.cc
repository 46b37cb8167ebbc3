#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "check_image.h"
#include "ext_image.h"
#include "fuzz.h"
#include "sparse.h"

namespace viewsh {
namespace {

constexpr size_t kChanges = 12;
constexpr size_t kBytesOfAChange = 4;

/// Changes that the bytes choose, on nodes and names that are there or were.
class Changes {
 public:
  Changes(ExtImage& image, std::vector<NodeId> nodes) : image_(image), nodes_(std::move(nodes)) {
    for (const NodeId node : nodes_) {
      const auto entries = image.list(node);
      if (!entries) continue;
      for (const DirEntry& entry : *entries) {
        if (names_.size() < kMostNames) names_.push_back({node, entry.name});
      }
    }
    names_.push_back({image.root(), "missing"});
  }

  void one(Bytes* bytes) {
    const uint8_t kind = bytes->one();
    const NodeId node = nodes_[bytes->one() % nodes_.size()];
    const Name name = names_[bytes->one() % names_.size()];
    const uint8_t more = bytes->one();
    if (kind % 2 == 0) {
      change_names(kind / 2, node, name, more);
    } else {
      change_content(kind / 2, node, more);
    }
  }

 private:
  static constexpr size_t kMostNames = 200;
  struct Name {
    NodeId directory;
    std::string name;
  };

  void change_names(unsigned kind, NodeId node, const Name& name, uint8_t more) {
    const std::string fresh(1 + more % 60, static_cast<char>('a' + more % 7));
    const WritableImage::NewNode made = {static_cast<mode_t>(0644), more, 70000, 0};
    WritableImage::NewNode file = made;
    file.mode |= more % 2 == 0 ? S_IFREG : S_IFIFO;
    switch (kind % 9) {
      case 0:
        return (void)image_.mknod(node, fresh, file);
      case 1:
        return (void)image_.mkdir(node, fresh, made);
      case 2:
        return (void)image_.symlink(node, fresh, std::string(1 + more, 'l'), made);
      case 3:
        return (void)image_.link(node, name.directory, fresh);
      case 4:
        return (void)image_.unlink(name.directory, name.name);
      case 5:
        return (void)image_.rmdir(name.directory, name.name);
      case 6:
        return (void)image_.rename(name.directory, name.name, node, fresh, 0);
      case 7:
        return (void)image_.rename(
            name.directory, name.name, names_[more % names_.size()].directory,
            names_[more % names_.size()].name, more % 3 == 0 ? RENAME_EXCHANGE : 0);
      default:
        if (const auto nameless = image_.make_nameless(image_.root(), file))
          (void)image_.release(*nameless);
    }
  }

  void change_content(unsigned kind, NodeId node, uint8_t more) {
    const std::string data(static_cast<size_t>(more) * 50, 'd');
    const uint64_t offset = static_cast<uint64_t>(more) * more * more;
    SetAttr set;
    set.size = offset;
    SetAttr mode;
    mode.mode = more * 16U % 07777U;
    switch (kind % 9) {
      case 0:
        return (void)image_.pwrite(node, data.data(), data.size(), offset);
      case 1:
        return (void)image_.setattr(node, set);
      case 2:
        return (void)image_.setattr(node, mode);
      case 3:
        return (void)image_.setxattr(node, "user.new", data, 0);
      case 4:
        return (void)image_.removexattr(node, "user.short");
      case 5:
        return (void)image_.fallocate(node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                      1 + more * 512U);
      case 6:
        return (void)image_.fallocate(node, 0, offset, 1 + more * 512U);
      case 7: {
        const uint32_t flag = more % 2 == 0 ? FS_NODUMP_FL : FS_APPEND_FL;
        return (void)image_.setflags(node, {flag, 0});
      }
      default:
        return (void)image_.sync();
    }
  }

  ExtImage& image_;
  std::vector<NodeId> nodes_;
  std::vector<Name> names_;
};

}  // namespace

void ext_fuzz_one(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  ExtOptions options;
  const uint8_t how = bytes.one();
  options.ro = how % 4 == 0;
  options.noatime = how % 8 < 4;
  if (how % 16 > 8) options.errors = ExtOptions::Errors::kRemountRo;
  options.cache_bytes = 1 << 16;
  const std::string changes = bytes.some(kChanges * kBytesOfAChange);
  const UniqueFd fd = sparse_file(&bytes);
  std::string why;
  auto image = ExtImage::open(fd.get(), options, &why);
  require(why.find('\n') == std::string::npos, "a reason of two lines");
  require(image || !why.empty(), "an image is refused without a reason");
  if (!image) return;
  std::vector<NodeId> nodes;
  check_image(**image, &nodes);
  if (!(*image)->read_only()) {
    Bytes next(reinterpret_cast<const uint8_t*>(changes.data()), changes.size());
    Changes todo(**image, nodes);
    while (!next.over()) todo.one(&next);
    nodes.clear();
    check_image(**image, &nodes);
  }
  if (how < 200) (void)(*image)->close();
}

}  // namespace viewsh

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "check_image.h"
#include "ext_acl.h"
#include "ext_image.h"
#include "fuzz.h"
#include "sparse.h"

namespace viewsh {
namespace {

constexpr size_t kChanges = 12;
constexpr size_t kBytesOfAChange = 4;

/// An access control list as setxattr(2) takes it: of the owner, user `id`, group, mask, others.
std::string some_acl(uint8_t id) {
  std::string acl("\2\0\0\0", 4);
  const auto entry = [&](uint8_t tag, uint8_t bits, uint8_t of) {
    acl += {static_cast<char>(tag), 0, static_cast<char>(bits), 0, static_cast<char>(of), 0, 0, 0};
  };
  entry(1, id % 8, 0);
  if (id % 3 != 0) entry(2, 6, id);
  entry(4, 4, 0);
  if (id % 3 != 0) entry(16, id / 8 % 8, 0);
  entry(32, 0, 0);
  return acl;
}

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
    const uint8_t which = bytes->one();
    // Now and then one that there may be none of.
    const NodeId node = which == 255 ? kind : nodes_[which % nodes_.size()];
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

  /// What was made is a node like the others.
  void made(const Result<NodeId>& node) {
    if (node) nodes_.push_back(*node);
  }

  void change_names(unsigned kind, NodeId node, const Name& name, uint8_t more) {
    const std::string fresh(1 + more % 60, static_cast<char>('a' + more % 7));
    const WritableImage::NewNode plain = {static_cast<mode_t>(0644), more, 70000, 0};
    WritableImage::NewNode file = plain;
    constexpr mode_t kTypes[] = {S_IFREG, S_IFREG, S_IFIFO, S_IFCHR};
    file.mode |= kTypes[more % std::size(kTypes)];
    switch (kind % 11) {
      case 0:
        return made(image_.mknod(node, fresh, file));
      case 1:
        return made(image_.mkdir(node, fresh, plain));
      case 2:
        return made(image_.symlink(node, fresh, std::string(1 + more, 'l'), plain));
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
      case 8:
        return unlink_while_held(name, more);
      case 9:
        return fill_directory(node, more);
      default:
        if (const auto nameless = image_.make_nameless(image_.root(), file))
          (void)image_.release(*nameless);
    }
  }

  /// A file that is written to, cut and given back after its last name went.
  void unlink_while_held(const Name& name, uint8_t more) {
    const auto node = image_.lookup(name.directory, name.name);
    if (!node || !image_.hold(*node)) return;
    (void)image_.unlink(name.directory, name.name);
    (void)image_.pwrite(*node, "after", 5, more * uint64_t{100});
    if (more % 2 == 0) (void)image_.sync();
    if (more % 3 != 0) (void)image_.release(*node);
  }

  /// As many names as make more blocks of a directory, and an index.
  void fill_directory(NodeId directory, uint8_t more) {
    const WritableImage::NewNode file = {S_IFREG | 0600, 0, 0, 0};
    const std::string name(150, 'n');
    for (char c = 'A'; c < 'A' + more % 32; ++c) {
      const std::string fresh = name + c;
      if (more % 2 == 0) {
        (void)image_.mknod(directory, fresh, file);
      } else {
        (void)image_.link(nodes_.back(), directory, fresh);
      }
    }
    if (more % 8 > 3) (void)image_.unlink(directory, name + 'B');
  }

  void change_content(unsigned kind, NodeId node, uint8_t more) {
    const std::string data(static_cast<size_t>(more) * 50, 'd');
    const uint64_t offset = static_cast<uint64_t>(more) * more * more;
    SetAttr set;
    switch (kind % 9) {
      case 0:
        return (void)image_.pwrite(node, data.data(), data.size(), offset);
      case 1:
        set.size = offset;
        return (void)image_.setattr(node, set);
      case 2:
        set.mode = more * 16U % 07777U;
        return (void)image_.setattr(node, set);
      case 3:
        return change_xattr(node, more, data);
      case 4:
        return (void)image_.removexattr(node,
                                        more % 2 == 0 ? "user.short" : std::string(kAccessAcl));
      case 5:
        return (void)image_.fallocate(
            node,
            (more % 4 == 0 ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE) | FALLOC_FL_KEEP_SIZE,
            offset, 1 + more * 512U);
      case 6:
        return (void)image_.fallocate(node, 0, offset, 1 + more * 512U);
      case 7:
        return change_flags(node, more);
      default:
        return (void)image_.sync();
    }
  }

  void change_xattr(NodeId node, uint8_t more, const std::string& value) {
    if (more % 4 == 0)
      return (void)image_.setxattr(node, std::string(kAccessAcl), some_acl(more), 0);
    if (more % 4 == 1)
      return (void)image_.setxattr(node, std::string(kDefaultAcl), some_acl(more), 0);
    (void)image_.setxattr(node, "user.new", value, 0);
  }

  void change_flags(NodeId node, uint8_t more) {
    const auto old = image_.getflags(node);
    if (!old) return;
    FileFlags set = *old;
    set.flags ^= 1U << more % 32;
    if (more > 200) set.project = more;
    (void)image_.setflags(node, set);
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
  if (how >= 200) return;  // as if the power went
  (void)(*image)->close();
  image->reset();
  // What was left there is an image again, or is refused.
  options.ro = how % 3 == 0;
  const auto again = ExtImage::open(fd.get(), options, &why);
  if (!again) return;
  nodes.clear();
  check_image(**again, &nodes);
}

}  // namespace viewsh

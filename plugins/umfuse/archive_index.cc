#include "archive_index.h"

#include <linux/limits.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace viewsh {
namespace {

constexpr mode_t kPlainDir = 0755;
constexpr mode_t kIsoMode = 0555;  // fs/isofs: what a volume without Rock Ridge shows

timespec time_of(time_t seconds, long nanoseconds) {
  timespec out{};
  out.tv_sec = seconds;
  out.tv_nsec = std::clamp(nanoseconds, 0L, 999'999'999L);
  return out;
}

bool is_xattr_name(std::string_view name) {
  const bool known = name.starts_with("user.") || name.starts_with("security.") ||
                     name.starts_with("trusted.") || name.starts_with("system.");
  return known && name.size() <= XATTR_NAME_MAX;
}

void take_xattrs(archive_entry* entry, ArchiveNode* node) {
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !is_xattr_name(name) || size > XATTR_SIZE_MAX) continue;
    if (!node->xattrs) node->xattrs = std::make_unique<std::map<std::string, std::string>>();
    (*node->xattrs)[name] = std::string(static_cast<const char*>(value), size);
  }
}

void take_times(archive_entry* entry, timespec fallback, ArchiveNode* node) {
  node->mtime = fallback;
  if (archive_entry_mtime_is_set(entry) != 0)
    node->mtime = time_of(archive_entry_mtime(entry), archive_entry_mtime_nsec(entry));
  node->atime = node->ctime = node->mtime;
  // A format that has no such time may say that it is 0.
  if (archive_entry_atime_is_set(entry) != 0 && archive_entry_atime(entry) != 0)
    node->atime = time_of(archive_entry_atime(entry), archive_entry_atime_nsec(entry));
  if (archive_entry_ctime_is_set(entry) != 0 && archive_entry_ctime(entry) != 0)
    node->ctime = time_of(archive_entry_ctime(entry), archive_entry_ctime_nsec(entry));
  node->has_btime =
      archive_entry_birthtime_is_set(entry) != 0 && archive_entry_birthtime(entry) != 0;
  if (node->has_btime)
    node->btime = time_of(archive_entry_birthtime(entry), archive_entry_birthtime_nsec(entry));
}

uint64_t data_bytes(archive_entry* entry, uint64_t size) {
  if (archive_entry_sparse_count(entry) == 0) return size;
  uint64_t sum = 0;
  la_int64_t offset = 0;
  la_int64_t length = 0;
  archive_entry_sparse_reset(entry);
  while (archive_entry_sparse_next(entry, &offset, &length) == ARCHIVE_OK) {
    sum += static_cast<uint64_t>(std::max<la_int64_t>(length, 0));
  }
  return std::min(sum, size);
}

const char* name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return name != nullptr ? name : archive_entry_pathname_utf8(entry);
}

/// Reads the headers of a pass into an index.
class Indexer {
 public:
  Indexer(const ImageSource& source, const ArchiveOptions& options, ArchiveReader* reader,
          ArchiveIndex* index)
      : source_(source), options_(options), reader_(*reader), index_(*index) {
    time_ = source.attr().st_mtim;
    ArchiveNode plain;
    plain.mode = S_IFDIR | options.dmode.value_or(kPlainDir);
    plain.uid = options.uid.value_or(options.own_uid);
    plain.gid = options.gid.value_or(options.own_gid);
    plain.mtime = time_;
    index_.tree = std::make_unique<ArchiveTree>(std::move(plain));
    index_.owners.push_back(0);
  }

  std::string run() {
    while (true) {
      const int code = reader_.next();
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return reader_.why();
      index_.owners.push_back(0);
      const ArchiveTree::Taken taken = take(reader_.entry());
      if (taken == ArchiveTree::Taken::kFull) return "it has too many entries";
      if (taken == ArchiveTree::Taken::kLeftOut) ++index_.left_out;
      if (most_ == 0) most_ = most_entries();
      if (reader_.ordinal() > most_) return "it has too many entries";
    }
    finish();
    return {};
  }

 private:
  using Taken = ArchiveTree::Taken;

  /// Directories of an ISO that share their records make libarchive remember more than there is:
  /// no record of an honest one is shorter than 34 bytes. ISO 9660, 9.1
  uint64_t most_entries() const {
    constexpr uint64_t kFew = 10'000;
    constexpr uint64_t kMost = 4 * ArchiveTree::kMostNodes;
    const bool iso = reader_.format() == ARCHIVE_FORMAT_ISO9660;
    return iso && !reader_.filtered() ? std::min(kMost, kFew + source_.data_size() / 34) : kMost;
  }

  Taken take(archive_entry* entry) {
    const char* name = name_of(entry);
    const bool ar = reader_.format() == ARCHIVE_FORMAT_AR;
    // An ar's own tables.
    if (ar && name != nullptr && name[0] == '/') return Taken::kYes;
    if (name == nullptr) return Taken::kLeftOut;
    ArchiveNode node;
    if (!describe(entry, &node)) return Taken::kLeftOut;
    if (const char* target = archive_entry_hardlink(entry))
      return index_.tree->add_link(name, target, node);
    return index_.tree->add(name, std::move(node));
  }

  /// False: not a node that can be.
  bool describe(archive_entry* entry, ArchiveNode* node) {
    const bool link = archive_entry_hardlink(entry) != nullptr;
    mode_t type = archive_entry_filetype(entry);
    if (type == 0) type = S_IFREG;
    const bool known = type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFIFO ||
                       type == S_IFCHR || type == S_IFBLK || type == S_IFSOCK;
    if (!known && !link) return false;
    node->mode = type | (archive_entry_perm(entry) & 07777);
    take_owner(entry, node);
    take_times(entry, time_, node);
    take_xattrs(entry, node);
    if (type == S_IFCHR || type == S_IFBLK) {
      node->rdev = makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry)),
                           static_cast<unsigned>(archive_entry_rdevminor(entry)));
    }
    if (type == S_IFLNK && !link) {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr) target = archive_entry_symlink_utf8(entry);
      if (target == nullptr) return false;
      node->target = target;
      node->size = node->target.size();
      node->mode |= 0777;
    }
    return type != S_IFREG || take_content(entry, link, node);
  }

  /// Where a format has no owners, or none for this entry, it is whoever mounts it: as with files
  /// that he unpacks.
  void take_owner(archive_entry* entry, ArchiveNode* node) const {
    const int format = reader_.format();
    const la_int64_t uid = archive_entry_uid(entry);
    const la_int64_t gid = archive_entry_gid(entry);
    const bool may_lack = format == ARCHIVE_FORMAT_ZIP || format == ARCHIVE_FORMAT_7ZIP ||
                          archive_type_of(format) == "rar";
    const bool lacks = may_lack && uid == 0 && gid == 0;
    node->uid = options_.uid.value_or(lacks ? options_.own_uid : static_cast<uid_t>(uid));
    node->gid = options_.gid.value_or(lacks ? options_.own_gid : static_cast<gid_t>(gid));
  }

  bool take_content(archive_entry* entry, bool link, ArchiveNode* node) {
    node->ordinal = reader_.ordinal();
    if (archive_entry_size_is_set(entry) != 0) {
      if (archive_entry_size(entry) < 0) return false;
      node->size = static_cast<uint64_t>(archive_entry_size(entry));
      locate(entry, node);
    } else if (!link) {
      const Result<uint64_t> size = reader_.measure();
      if (!size) return false;
      node->size = *size;
    }
    node->blocks = (data_bytes(entry, node->size) + 511) / 512;
    return true;
  }

  /// Where the content can be had without reading what stands before it.
  void locate(archive_entry* entry, ArchiveNode* node) {
    if (reader_.filtered() || node->size == 0) return;
    const int format = reader_.format();
    const uint64_t at = reader_.position();
    if (format == ARCHIVE_FORMAT_ZIP) {
      node->entry_at = zip_header_before(at);
      return;
    }
    const bool whole = at <= source_.size() && node->size <= source_.size() - at;
    if (!whole || archive_entry_sparse_count(entry) > 0) return;
    constexpr uint64_t kTarBlock = 512;
    constexpr uint64_t kTarMagic = 257;
    const bool tar = format == ARCHIVE_FORMAT_TAR && at >= kTarBlock &&
                     starts_with(at - kTarBlock + kTarMagic, "ustar");
    if (tar || format == ARCHIVE_FORMAT_CPIO || format == ARCHIVE_FORMAT_AR)
      node->data_at = static_cast<int64_t>(at);
  }

  /// The local header of a zip's entry whose data begin at `at`: it says itself how long it is.
  int64_t zip_header_before(uint64_t at) const {
    constexpr size_t kFixed = 30;
    char bytes[4096];
    const size_t size = static_cast<size_t>(std::min<uint64_t>(at, sizeof bytes));
    const Result<size_t> got = source_.pread(bytes, size, at - size);
    if (!got || *got != size) return -1;
    const auto number = [&](size_t i) {
      return static_cast<size_t>(static_cast<unsigned char>(bytes[i])) |
             static_cast<size_t>(static_cast<unsigned char>(bytes[i + 1])) << 8;
    };
    for (size_t back = kFixed; back <= size; ++back) {
      const size_t i = size - back;
      const bool header = memcmp(bytes + i, "PK\3\4", 4) == 0;
      if (header && kFixed + number(i + 26) + number(i + 28) == back)
        return static_cast<int64_t>(at - back);
    }
    return -1;
  }

  bool starts_with(uint64_t at, std::string_view text) const {
    char bytes[8] = {};
    const Result<size_t> got = source_.pread(bytes, text.size(), at);
    return got && *got == text.size() && memcmp(bytes, text.data(), text.size()) == 0;
  }

  void finish() {
    const int format = reader_.format();
    index_.type = archive_type_of(format);
    index_.skipping_costs =
        reader_.filtered() || format == ARCHIVE_FORMAT_7ZIP || index_.type == "rar";
    const bool iso = format == ARCHIVE_FORMAT_ISO9660;
    const bool rock_ridge = reader_.format_name().find("Rockridge") != std::string::npos;
    ArchiveTree& tree = *index_.tree;
    for (NodeId id = 1; id <= tree.highest(); ++id) {
      ArchiveNode& node = tree.at(id);
      if (node.links == 0) continue;
      if (node.ordinal != 0) index_.owners[node.ordinal] = id;
      index_.content += node.size;
      index_.largest = std::max(index_.largest, node.size);
      if (iso && !rock_ridge) plain_iso(&node);
      if (iso && options_.override_rock_ridge) set_modes(&node);
    }
  }

  void plain_iso(ArchiveNode* node) const {
    node->mode = (node->mode & S_IFMT) | kIsoMode;
    set_modes(node);
  }
  void set_modes(ArchiveNode* node) const {
    const auto& wanted = node->is_dir() ? options_.dmode : options_.mode;
    if (wanted && !S_ISLNK(node->mode)) node->mode = (node->mode & S_IFMT) | (*wanted & 07777);
  }

  const ImageSource& source_;
  const ArchiveOptions& options_;
  ArchiveReader& reader_;
  ArchiveIndex& index_;
  uint64_t most_ = 0;  ///< entries; 0: not known yet
  timespec time_ = {};
};

/// The library doesn't ask an ISO whether all of it is there.
bool iso_is_cut_short(const ImageSource& source) {
  constexpr uint64_t kDescriptor = 16 * 2048;
  unsigned char block[2048];
  const Result<size_t> got = source.pread(block, sizeof block, kDescriptor);
  if (!got || *got != sizeof block) return true;
  uint64_t blocks = 0;
  for (int i = 3; i >= 0; --i) blocks = blocks << 8 | block[80 + i];
  return blocks * 2048 > source.size();
}

}  // namespace

std::unique_ptr<ArchiveIndex> read_archive_index(const ImageSource& source, std::string_view type,
                                                 const ArchiveOptions& options, MountError* error) {
  auto index = std::make_unique<ArchiveIndex>();
  std::string why;
  auto reader = ArchiveReader::open(source, type, &why);
  if (reader != nullptr) why = Indexer(source, options, reader.get(), index.get()).run();
  const bool recognized = reader != nullptr && !archive_type_of(reader->format()).empty();
  if (why.empty() && recognized && index->type == "iso9660" && iso_is_cut_short(source))
    why = "it is cut short";
  if (!why.empty() && !recognized) {
    *error = {Errno(EINVAL), "not a" + std::string(type == "ar" || type == "iso9660" ? "n " : " ") +
                                 std::string(type) + " image or archive (" + why + ")"};
    return nullptr;
  }
  if (!why.empty()) {
    *error = {Errno(EUCLEAN), "damaged, or cut short: " + why};
    return nullptr;
  }
  return index;
}

}  // namespace viewsh

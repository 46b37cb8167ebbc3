// An OCI layer as the nodes and marks of a layer. Nothing in it is trusted.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <vector>

#include "parts.h"

namespace viewsh::viewfs {
namespace {

/// The data of the entry that is read.
class EntryContent final : public Content {
 public:
  EntryContent(archive* a, TransferMeter* meter, uint64_t total)
      : archive_(a), meter_(*meter), total_(total) {}
  std::string next(Piece* piece) override {
    *piece = {};
    la_int64_t offset = 0;
    do {
      const int rc = archive_read_data_block(archive_, &piece->data, &piece->size, &offset);
      meter_.set_source(static_cast<uint64_t>(archive_filter_bytes(archive_, -1)), total_);
      if (rc == ARCHIVE_EOF) {
        *piece = {};
        return {};
      }
      if (rc != ARCHIVE_OK) return why(archive_);
      if (offset < 0) return "its data is out of place";
    } while (piece->size == 0);
    piece->offset = static_cast<uint64_t>(offset);
    return {};
  }

 private:
  archive* archive_;
  TransferMeter& meter_;
  uint64_t total_;
};

/// The text without "./" and slashes at the end. False: not a path that may be in a layer.
bool plain_path(const char* text, std::string* out, std::string* error) {
  if (text == nullptr || *text == '\0') {
    *error = "an entry has no name";
    return false;
  }
  if (*text == '/') {
    *error = std::string(text) + ": an absolute path";
    return false;
  }
  out->clear();
  const std::string_view all = text;
  for (size_t at = 0; at <= all.size();) {
    const size_t end = std::min(all.find('/', at), all.size());
    const std::string_view name = all.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      *error = std::string(text) + ": a path with '..'";
      return false;
    }
    if (!out->empty()) *out += '/';
    *out += name;
  }
  return true;
}

class Reader {
 public:
  Reader(LayerSink* sink, TransferMeter* meter)
      : sink_(*sink), meter_(*meter), archive_(archive_read_new()) {}

  std::string run(int fd) {
    struct stat st {};
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) total_ = static_cast<uint64_t>(st.st_size);
    archive* a = archive_.get();
    constexpr size_t kBlock = size_t{1} << 17;
    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_open_fd(a, fd, kBlock) != ARCHIVE_OK) {
      return why(a);
    }
    std::string error;
    for (archive_entry* entry = nullptr;;) {
      const int rc = archive_read_next_header(a, &entry);
      meter_.set_source(static_cast<uint64_t>(archive_filter_bytes(a, -1)), total_);
      if (rc == ARCHIVE_EOF) break;
      if (rc != ARCHIVE_OK && !(rc == ARCHIVE_WARN && harmless(why(a)))) return why(a);
      if (error = take(entry); !error.empty()) return error;
    }
    // The library takes the end of the file for the end of the archive; a whole one says where it
    // ends.
    if (archive_filter_bytes(a, 0) <= archive_read_header_position(a)) return "it is cut short";
    return sink_.finish();
  }

 private:
  /// Names that aren't of the character set come as they are; the library warns of that.
  static bool harmless(const std::string& text) {
    return text.find("can't be converted") != std::string::npos;
  }

  std::string take(archive_entry* entry) {
    std::string error;
    TransferNode node;
    if (!plain_path(archive_entry_pathname(entry), &node.path, &error)) return error;
    bool was_mark = false;
    error = take_mark(node.path, &was_mark);
    if (was_mark || !error.empty()) return error;
    if (const char* link = archive_entry_hardlink(entry)) {
      if (!plain_path(link, &node.link, &error)) return error;
      if (node.link.empty()) return told(node.path) + ": is another name of the root";
    }
    take_attr(entry, &node);
    const mode_t type = node.attr.stx_mode & S_IFMT;
    if (node.link.empty() && type == S_IFLNK) {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr || *target == '\0') return told(node.path) + ": a link to nothing";
      node.target = target;
    }
    const bool known = type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFIFO ||
                       type == S_IFCHR || type == S_IFBLK;
    if (!known && node.link.empty()) return told(node.path) + ": of a type that isn't known";
    if (type != S_IFREG || !node.link.empty()) return sink_.node(node, nullptr);
    EntryContent content(archive_.get(), &meter_, total_);
    return sink_.node(node, &content);
  }

  std::string take_mark(const std::string& path, bool* was_mark) {
    for (size_t at = 0; at < path.size();) {
      const size_t end = std::min(path.find('/', at), path.size());
      const std::string name = path.substr(at, end - at);
      const std::string dir = path.substr(0, at == 0 ? 0 : at - 1);
      const bool last = end == path.size();
      at = end + 1;
      if (name.rfind(kMark, 0) != 0) continue;
      *was_mark = true;
      if (last && name == kOpaqueMark) return sink_.opaque(dir);
      const std::string victim = name.substr(sizeof kMark - 1);
      if (!last || victim.empty() || victim == "." || victim == ".." ||
          victim.rfind(kMark, 0) == 0) {
        return told(path) + ": not a mark that an OCI layer may have";
      }
      return sink_.whiteout(dir.empty() ? victim : dir + "/" + victim);
    }
    return {};
  }

  void take_attr(archive_entry* entry, TransferNode* node) {
    Attr& attr = node->attr;
    attr.stx_mode =
        static_cast<uint16_t>(archive_entry_filetype(entry) | (archive_entry_perm(entry) & 07777));
    attr.stx_uid = static_cast<uint32_t>(archive_entry_uid(entry));
    attr.stx_gid = static_cast<uint32_t>(archive_entry_gid(entry));
    attr.stx_mtime.tv_sec = archive_entry_mtime(entry);
    attr.stx_mtime.tv_nsec = static_cast<uint32_t>(archive_entry_mtime_nsec(entry));
    attr.stx_atime = attr.stx_mtime;
    attr.stx_size = static_cast<uint64_t>(archive_entry_size(entry));
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      node->xattrs[name] = std::string(static_cast<const char*>(value), size);
    }
    if (archive_entry_acl_reset(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS |
                                           ARCHIVE_ENTRY_ACL_TYPE_DEFAULT |
                                           ARCHIVE_ENTRY_ACL_TYPE_NFS4) > 0) {
      meter_.lost("an access control list in text form is left out", node->path);
    }
  }

  LayerSink& sink_;
  TransferMeter& meter_;
  Archive archive_;
  uint64_t total_ = 0;
};

}  // namespace

std::string read_archive(int fd, LayerSink* sink, TransferMeter* meter) {
  // In this one no name is UTF-8, so none is normalised: all come as the bytes that they are.
  const Characters characters("C");
  const std::string error = Reader(sink, meter).run(fd);
  return error;
}

}  // namespace viewsh::viewfs

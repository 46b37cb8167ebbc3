// A layer as an OCI layer: a pax tar with marks for what is deleted.
// https://github.com/opencontainers/image-spec/blob/main/layer.md
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "parts.h"

namespace viewsh::viewfs {
namespace {

std::string_view last_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string_view(path)
                                    : std::string_view(path).substr(slash + 1);
}

std::string in_dir(const std::string& dir, const std::string& name) {
  return dir.empty() ? name : dir + "/" + name;
}

class Writer final : public LayerSink {
 public:
  explicit Writer(TransferMeter* meter) : meter_(*meter), archive_(archive_write_new()) {}

  std::string open(int fd, Compression compression) {
    archive* a = archive_.get();
    int rc = archive_write_set_format_pax(a);
    // Two forms of an attribute would be written, of which only this one is known to others.
    if (rc == ARCHIVE_OK) rc = archive_write_set_format_option(a, "pax", "xattrheader", "SCHILY");
    if (rc == ARCHIVE_OK && compression == Compression::kGzip) {
      rc = archive_write_add_filter_gzip(a);
      // The same layer gives the same bytes.
      if (rc == ARCHIVE_OK) rc = archive_write_set_filter_option(a, "gzip", "timestamp", nullptr);
    }
    if (rc == ARCHIVE_OK && compression == Compression::kZstd)
      rc = archive_write_add_filter_zstd(a);
    if (rc == ARCHIVE_OK) rc = archive_write_set_bytes_in_last_block(a, 1);
    if (rc == ARCHIVE_OK) rc = archive_write_open_fd(a, fd);
    return rc == ARCHIVE_OK ? std::string() : why(a);
  }

  std::string node(const TransferNode& node, Content* content) override {
    if (last_name(node.path).substr(0, sizeof kMark - 1) == kMark) {
      return told(node.path) +
             ": a name that begins with .wh. means a deletion in an OCI layer, "
             "which can't hold it as a file";
    }
    if (S_ISSOCK(node.attr.stx_mode)) {
      meter_.lost("a socket, which an archive can't hold", node.path);
      return {};
    }
    const Entry entry(archive_entry_new());
    std::string name = node.path.empty() ? "./" : node.path;
    if (S_ISDIR(node.attr.stx_mode) && !node.path.empty()) name += '/';
    archive_entry_set_pathname(entry.get(), name.c_str());
    set_attr(node, entry.get());
    for (const auto& [key, value] : node.xattrs) {
      if (key.find_first_of("=\n") != std::string::npos) {
        return told(node.path) + ": its attribute " + key + " has a name that a tar can't hold";
      }
      archive_entry_xattr_add_entry(entry.get(), key.c_str(), value.data(), value.size());
    }
    if (!node.link.empty()) {
      archive_entry_set_hardlink(entry.get(), node.link.c_str());
      archive_entry_set_size(entry.get(), 0);
      return put(entry.get(), node.path);
    }
    if (content == nullptr) return put(entry.get(), node.path);
    set_extents(node, content->extents(), entry.get());
    if (std::string error = put(entry.get(), node.path); !error.empty()) return error;
    return data(node, content);
  }

  std::string whiteout(const std::string& path) override {
    const size_t slash = path.rfind('/');
    const std::string dir = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name(last_name(path));
    if (name.rfind(kMark, 0) == 0) {
      return told(path) +
             ": is deleted, which an OCI layer can't say of a name that begins with "
             ".wh.";
    }
    return mark(in_dir(dir, kMark + name), path);
  }

  std::string opaque(const std::string& path) override {
    return mark(in_dir(path, kOpaqueMark), path);
  }

  std::string finish() override {
    return archive_write_close(archive_.get()) == ARCHIVE_OK ? std::string() : why(archive_.get());
  }

 private:
  static void set_attr(const TransferNode& node, archive_entry* entry) {
    const Attr& attr = node.attr;
    archive_entry_set_mode(entry, attr.stx_mode);
    archive_entry_set_uid(entry, attr.stx_uid);
    archive_entry_set_gid(entry, attr.stx_gid);
    archive_entry_set_mtime(entry, attr.stx_mtime.tv_sec,
                            static_cast<long>(attr.stx_mtime.tv_nsec));
    archive_entry_set_size(entry, S_ISREG(attr.stx_mode) ? static_cast<int64_t>(attr.stx_size) : 0);
    if (S_ISLNK(attr.stx_mode)) archive_entry_set_symlink(entry, node.target.c_str());
    if (S_ISCHR(attr.stx_mode) || S_ISBLK(attr.stx_mode)) {
      archive_entry_set_rdev(entry, makedev(attr.stx_rdev_major, attr.stx_rdev_minor));
    }
  }

  static void set_extents(const TransferNode& node, const std::vector<Content::Extent>& extents,
                          archive_entry* entry) {
    uint64_t held = 0;
    for (const auto& extent : extents) held += extent.size;
    if (held == node.attr.stx_size) return;
    for (const auto& extent : extents) {
      archive_entry_sparse_add_entry(entry, static_cast<int64_t>(extent.offset),
                                     static_cast<int64_t>(extent.size));
    }
    if (extents.empty()) {
      archive_entry_sparse_add_entry(entry, static_cast<int64_t>(node.attr.stx_size), 0);
    }
  }

  /// Names that aren't UTF-8 are written as they are; the library warns of that.
  static bool harmless(const std::string& text) {
    return text.find("to UTF-8") != std::string::npos;
  }

  std::string put(archive_entry* entry, const std::string& path) {
    const Characters characters("C.UTF-8");
    const int rc = archive_write_header(archive_.get(), entry);
    if (rc == ARCHIVE_OK || (rc == ARCHIVE_WARN && harmless(why(archive_.get())))) return {};
    return told(path) + ": " + why(archive_.get());
  }

  std::string mark(const std::string& name, const std::string& path) {
    const Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_mode(entry.get(), S_IFREG | 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(), 0);
    return put(entry.get(), path);
  }

  /// What lies in a hole that the header tells of is dropped by the library, so holes are fed as
  /// zeros.
  std::string zeros(const TransferNode& node, uint64_t size) {
    static const std::vector<char> kZeros(size_t{1} << 18);
    while (size > 0) {
      const size_t want = std::min<uint64_t>(size, kZeros.size());
      const la_ssize_t n = archive_write_data(archive_.get(), kZeros.data(), want);
      if (n <= 0) return told(node.path) + ": " + why(archive_.get());
      size -= static_cast<uint64_t>(n);
    }
    return {};
  }

  std::string data(const TransferNode& node, Content* content) {
    uint64_t at = 0;
    for (Content::Piece piece;;) {
      if (std::string error = content->next(&piece); !error.empty()) {
        return told(node.path) + ": " + error;
      }
      if (piece.size == 0) break;
      if (std::string error = zeros(node, piece.offset - at); !error.empty()) return error;
      const char* data = static_cast<const char*>(piece.data);
      for (size_t done = 0; done < piece.size;) {
        const la_ssize_t n = archive_write_data(archive_.get(), data + done, piece.size - done);
        if (n <= 0) return told(node.path) + ": " + why(archive_.get());
        done += static_cast<size_t>(n);
      }
      at = piece.offset + piece.size;
      if (std::string error = meter_.step(0, piece.size); !error.empty()) return error;
    }
    if (std::string error = zeros(node, node.attr.stx_size - at); !error.empty()) return error;
    const int rc = archive_write_finish_entry(archive_.get());
    return rc == ARCHIVE_OK ? std::string() : told(node.path) + ": " + why(archive_.get());
  }

  TransferMeter& meter_;
  Archive archive_;
};

}  // namespace

std::unique_ptr<LayerSink> make_writer(int fd, Compression compression, TransferMeter* meter,
                                       std::string* error) {
  auto writer = std::make_unique<Writer>(meter);
  *error = writer->open(fd, compression);
  if (!error->empty()) return nullptr;
  return writer;
}

}  // namespace viewsh::viewfs

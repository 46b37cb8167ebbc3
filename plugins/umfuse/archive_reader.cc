#include "archive_reader.h"

#include <locale.h>
#include <unistd.h>

#include <algorithm>

namespace viewsh {
namespace {

constexpr size_t kBlock = size_t{1} << 17;
constexpr uint64_t kUnpackedAlways = uint64_t{64} << 30;
constexpr uint64_t kMostTimes = 1000;

locale_t characters(bool unicode) {
  static const locale_t kBytes = newlocale(LC_CTYPE_MASK, "C", nullptr);
  static const locale_t kUnicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  // Without that locale, which every glibc since 2.35 has built in, such names may be left out.
  return unicode && kUnicode != nullptr ? kUnicode : kBytes;
}

struct Format {
  std::string_view type;
  int code;
  bool unicode;
  int (*support)(archive*);
};

constexpr Format kFormats[] = {
    {"tar", ARCHIVE_FORMAT_TAR, false, archive_read_support_format_tar},
    {"tar", ARCHIVE_FORMAT_TAR, false, archive_read_support_format_gnutar},
    {"zip", ARCHIVE_FORMAT_ZIP, false, archive_read_support_format_zip},
    {"cpio", ARCHIVE_FORMAT_CPIO, false, archive_read_support_format_cpio},
    {"ar", ARCHIVE_FORMAT_AR, false, archive_read_support_format_ar},
    {"iso9660", ARCHIVE_FORMAT_ISO9660, true, archive_read_support_format_iso9660},
    {"7z", ARCHIVE_FORMAT_7ZIP, true, archive_read_support_format_7zip},
    {"rar", ARCHIVE_FORMAT_RAR, true, archive_read_support_format_rar},
    {"rar", ARCHIVE_FORMAT_RAR_V5, true, archive_read_support_format_rar5},
    {"xar", ARCHIVE_FORMAT_XAR, true, archive_read_support_format_xar},
};

/// The filters that the library has built in. What it would start a program for is left out: the
/// engine's children are the view's.
constexpr int (*kFilters[])(archive*) = {
    archive_read_support_filter_bzip2, archive_read_support_filter_compress,
    archive_read_support_filter_gzip,  archive_read_support_filter_lz4,
    archive_read_support_filter_lzip,  archive_read_support_filter_lzma,
    archive_read_support_filter_rpm,   archive_read_support_filter_xz,
    archive_read_support_filter_zstd,
};

Result<void> write_all(int to, const void* from, size_t size, uint64_t at) {
  const char* bytes = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t n = ::pwrite(to, bytes, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    bytes += n;
    size -= static_cast<size_t>(n);
    at += static_cast<uint64_t>(n);
  }
  return {};
}

}  // namespace

NameCharacters::NameCharacters(bool unicode) : old_(uselocale(characters(unicode))) {}
NameCharacters::~NameCharacters() { uselocale(old_); }

std::string_view archive_type_of(int format) {
  for (const Format& known : kFormats) {
    if (known.code == format) return known.type;
  }
  return {};
}

ArchiveReader::ArchiveReader(const ImageSource& source, uint64_t from)
    : source_(source), base_(from), archive_(archive_read_new()), buffer_(kBlock) {}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

std::unique_ptr<ArchiveReader> ArchiveReader::open(const ImageSource& source, std::string_view type,
                                                   std::string* error, uint64_t from,
                                                   bool streaming) {
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(source, from));
  archive* a = reader->archive_;
  bool known = false;
  for (const Format& format : kFormats) {
    if (type != "auto" && type != format.type) continue;
    auto support = format.support;
    if (streaming && format.code == ARCHIVE_FORMAT_ZIP)
      support = archive_read_support_format_zip_streamable;
    known = support(a) == ARCHIVE_OK || known;
    reader->unicode_ = type != "auto" && format.unicode;
  }
  if (!known) {
    *error = "the archive library was built without it";
    return nullptr;
  }
  for (auto filter : kFilters) {
    if (!streaming) filter(a);  // one that is missing makes such archives unknown
  }
  archive_read_set_callback_data(a, reader.get());
  archive_read_set_read_callback(a, on_read);
  archive_read_set_skip_callback(a, on_skip);
  archive_read_set_seek_callback(a, on_seek);
  const NameCharacters characters(reader->unicode_);
  if (archive_read_open1(a) != ARCHIVE_OK) {
    *error = reader->why();
    return nullptr;
  }
  return reader;
}

int ArchiveReader::next() {
  const NameCharacters characters(unicode_);
  constexpr int kAttempts = 16;
  int code = ARCHIVE_RETRY;
  for (int i = 0; i < kAttempts && code == ARCHIVE_RETRY; ++i) {
    code = archive_read_next_header(archive_, &entry_);
  }
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) entry_ = nullptr;
  if (entry_ != nullptr) ++ordinal_;
  data_taken_ = false;
  return code;
}

Result<void> ArchiveReader::unpack(int to, uint64_t size, uint64_t at) {
  const NameCharacters characters(unicode_);
  data_taken_ = true;
  const bool sparse = entry_ != nullptr && archive_entry_sparse_count(entry_) > 0;
  uint64_t end = 0;
  while (true) {
    const void* piece = nullptr;
    size_t length = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(archive_, &piece, &length, &offset);
    if (code == ARCHIVE_EOF) break;
    if (code == ARCHIVE_RETRY && wasteful()) return Errno(EUCLEAN);
    if (code == ARCHIVE_RETRY) continue;
    if (code != ARCHIVE_OK) return Errno(stopped_ ? EINTR : EIO);
    const auto begin = static_cast<uint64_t>(offset);
    if (offset < 0 || begin > size || length > size - begin) return Errno(EUCLEAN);
    if (!sparse && length > 0 && begin != end) return Errno(EUCLEAN);
    TRY(write_all(to, piece, length, at + begin));
    end = std::max(end, begin + length);
    if (pace_ != nullptr) TRY(pace_->step());
  }
  if (end < size && !sparse) return Errno(EUCLEAN);
  return {};
}

Result<uint64_t> ArchiveReader::measure() {
  const NameCharacters characters(unicode_);
  data_taken_ = true;
  uint64_t end = 0;
  while (true) {
    const void* piece = nullptr;
    size_t length = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(archive_, &piece, &length, &offset);
    if (code == ARCHIVE_EOF) return end;
    if (code != ARCHIVE_OK) return Errno(EIO);
    if (offset < 0 || static_cast<uint64_t>(offset) + length < end) return Errno(EUCLEAN);
    end = static_cast<uint64_t>(offset) + length;
  }
}

int ArchiveReader::format() const {
  const int format = archive_format(archive_);
  // RAR 5 is a base of its own; of all others the low half tells the variant.
  return format & ARCHIVE_FORMAT_BASE_MASK;
}

std::string ArchiveReader::format_name() const {
  const char* name = archive_format_name(archive_);
  return name == nullptr ? "" : name;
}

bool ArchiveReader::filtered() const { return archive_filter_count(archive_) > 1; }

uint64_t ArchiveReader::position() const {
  const la_int64_t at = archive_filter_bytes(archive_, 0);
  return at < 0 ? 0 : base_ + static_cast<uint64_t>(at);
}

std::string ArchiveReader::why() const {
  const char* text = archive_error_string(archive_);
  if (text == nullptr) return "the archive library doesn't say why";
  // It may quote the archive, which then doesn't write to the user's terminal.
  constexpr size_t kLongest = 200;
  std::string line = std::string(text).substr(0, kLongest);
  const auto not_shown = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  std::replace_if(line.begin(), line.end(), not_shown, ' ');
  return line;
}

bool ArchiveReader::wasteful() const {
  if (archive_filter_count(archive_) <= 1) return false;
  const la_int64_t unpacked = archive_filter_bytes(archive_, 0);
  return unpacked > 0 && static_cast<uint64_t>(unpacked) > kUnpackedAlways &&
         static_cast<uint64_t>(unpacked) / kMostTimes > read_;
}

la_ssize_t ArchiveReader::on_read(archive* a, void* self, const void** buffer) {
  auto* reader = static_cast<ArchiveReader*>(self);
  *buffer = reader->buffer_.data();
  if (reader->wasteful()) {
    archive_set_error(a, EUCLEAN, "it unpacks to more than a thousand times its size");
    return ARCHIVE_FATAL;
  }
  if (reader->pace_ != nullptr && !reader->pace_->step()) {
    reader->stopped_ = true;
    archive_set_error(a, EINTR, "nobody wants it any more");
    return ARCHIVE_FATAL;
  }
  const Result<size_t> got = reader->source_.pread(reader->buffer_.data(), reader->buffer_.size(),
                                                   reader->base_ + reader->at_);
  if (!got) {
    archive_set_error(a, got.error().value(), "%s", got.error().message().c_str());
    return ARCHIVE_FATAL;
  }
  reader->at_ += *got;
  reader->read_ += *got;
  return static_cast<la_ssize_t>(*got);
}

la_int64_t ArchiveReader::on_skip(archive*, void* self, la_int64_t request) {
  auto* reader = static_cast<ArchiveReader*>(self);
  const uint64_t end = reader->source_.size() - std::min(reader->base_, reader->source_.size());
  const uint64_t room = end - std::min(reader->at_, end);
  // Up to the end and not past it: what is missing there is for the library to notice.
  const uint64_t skipped = std::min(static_cast<uint64_t>(std::max<la_int64_t>(request, 0)), room);
  reader->at_ += skipped;
  return static_cast<la_int64_t>(skipped);
}

la_int64_t ArchiveReader::on_seek(archive*, void* self, la_int64_t offset, int whence) {
  auto* reader = static_cast<ArchiveReader*>(self);
  const auto end = static_cast<la_int64_t>(reader->source_.size() -
                                           std::min(reader->base_, reader->source_.size()));
  la_int64_t from = 0;
  if (whence == SEEK_CUR) from = static_cast<la_int64_t>(reader->at_);
  if (whence == SEEK_END) from = end;
  la_int64_t to = 0;
  if (__builtin_add_overflow(from, offset, &to) || to < 0) return ARCHIVE_FATAL;
  reader->at_ = static_cast<uint64_t>(std::min(to, end));
  return static_cast<la_int64_t>(reader->at_);
}

}  // namespace viewsh

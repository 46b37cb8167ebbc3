#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image_source.h"
#include "pace.h"

namespace viewsh {

/// The character set that libarchive takes names for, in this thread, for as long as this lives.
/// Formats that keep names as Unicode are read as UTF-8; of the others names come as the bytes that
/// they are: in the C locale none is normalised.
class NameCharacters {
 public:
  explicit NameCharacters(bool unicode);
  ~NameCharacters();
  NameCharacters(const NameCharacters&) = delete;
  NameCharacters& operator=(const NameCharacters&) = delete;

 private:
  locale_t old_;
};

/// One pass of libarchive over an image, forward. Nothing of what it says is trusted here.
///
/// A pass ends with an error once it has unpacked so much more than it has read that it can only be
/// meant to waste time: over 64 GiB, and more than a thousandfold.
class ArchiveReader {
 public:
  /// `type`: of mount types; "auto": every format. `from`: where the reading starts. `streaming`:
  /// zip is read by its local headers, of which the first is at `from`. Null: `error` says why.
  static std::unique_ptr<ArchiveReader> open(const ImageSource& source, std::string_view type,
                                             std::string* error, uint64_t from = 0,
                                             bool streaming = false);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  /// The next entry. ARCHIVE_OK, ARCHIVE_WARN: there is one; ARCHIVE_EOF; else see why().
  int next();
  archive_entry* entry() const { return entry_; }
  /// How many entries have been read.
  uint64_t ordinal() const { return ordinal_; }
  /// Writes the data of this entry to `to`, holes left out. `size`: what they have to be. EUCLEAN:
  /// they are not; EIO; errors of `to`.
  Result<void> unpack(int to, uint64_t size, uint64_t at = 0);
  /// Reads the data of this entry to learn how much there are. EUCLEAN, EIO.
  Result<uint64_t> measure();
  bool data_taken() const { return data_taken_; }

  /// archive_format() without the variant: ARCHIVE_FORMAT_TAR...
  int format() const;
  std::string format_name() const;
  /// Compressed as a whole: what is skipped has to be unpacked, too.
  bool filtered() const;
  /// Where the data of this entry begin, if they are there as they are.
  uint64_t position() const;
  /// What it reads from now on it reads at this pace. Not owned.
  void set_pace(Pace* pace) { pace_ = pace; }
  /// One line, whatever the archive holds.
  std::string why() const;

 private:
  ArchiveReader(const ImageSource& source, uint64_t from);
  static la_ssize_t on_read(archive* a, void* self, const void** buffer);
  static la_int64_t on_skip(archive* a, void* self, la_int64_t request);
  static la_int64_t on_seek(archive* a, void* self, la_int64_t offset, int whence);
  bool wasteful() const;

  const ImageSource& source_;
  const uint64_t base_;
  uint64_t at_ = 0;
  uint64_t read_ = 0;
  archive* archive_;
  archive_entry* entry_ = nullptr;
  uint64_t ordinal_ = 0;
  bool data_taken_ = false;
  bool unicode_ = false;
  Pace* pace_ = nullptr;
  bool stopped_ = false;  ///< somebody doesn't want it any more
  std::vector<char> buffer_;
};

/// Of what archive_format() says, the mount type; empty: none of ours.
std::string_view archive_type_of(int format);

}  // namespace viewsh

// The mount types and options of what libarchive reads.
#include <charconv>
#include <cstdio>

#include "archive_bounds.h"
#include "archive_image.h"

namespace viewsh {
namespace {

std::string_view detect(const ImageSource& source) {
  std::string why = headers_end(source, "auto", false);
  if (!why.empty()) return {};
  const auto reader = ArchiveReader::open(source, "auto", &why);
  if (reader == nullptr) return {};
  const int code = reader->next();
  const std::string_view type = archive_type_of(reader->format());
  // One that fails at its first entry is of its type still, and is refused as such. But formats
  // that the library knows by little more than a guess have to have one: to it, a disk that begins
  // with zeros is an empty tar.
  const bool guess = type == "tar" || type == "cpio";
  return !guess || code == ARCHIVE_OK || code == ARCHIVE_WARN ? type : std::string_view();
}

template <typename T>
bool parse(const std::string& text, int base, T* out) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out, base);
  return error == std::errc() && stop == end && !text.empty();
}

/// Takes an option; false: `why` says what is wrong with it.
bool take_option(const std::string& type, const std::string& key, const std::string& value,
                 ArchiveOptions* options, std::string* why) {
  constexpr int kDecimal = 10;
  constexpr int kOctal = 8;
  const bool iso = type == "iso9660";
  unsigned number = 0;
  if (key == "uid" || key == "gid") {
    if (!parse(value, kDecimal, &number)) {
      *why = key + " must be a number, not '" + value + "'";
      return false;
    }
    if (key == "uid") options->uid = number;
    if (key == "gid") options->gid = number;
    return true;
  }
  if (iso && (key == "mode" || key == "dmode")) {
    if (!parse(value, kOctal, &number) || number > 07777) {
      *why = key + " must be octal permissions such as 755, not '" + value + "'";
      return false;
    }
    (key == "mode" ? options->mode : options->dmode) = number;
    return true;
  }
  if (iso && key == "overriderockperm" && value.empty()) {
    options->override_rock_ridge = true;
    return true;
  }
  *why = "unknown option '" + key + "'";
  return false;
}

std::unique_ptr<Image> open(std::shared_ptr<const ImageSource> source, const ImageRequest& request,
                            MountError* error) {
  ArchiveOptions options;
  options.own_uid = request.uid;
  options.own_gid = request.gid;
  std::string why;
  for (const auto& [key, value] : request.options) {
    if (take_option(request.type, key, value, &options, &why)) continue;
    *error = {Errno(EINVAL), why};
    return nullptr;
  }
  if (why = headers_end(*source, request.type, true); !why.empty()) {
    *error = {Errno(EUCLEAN), why};
    return nullptr;
  }
  auto index = read_archive_index(*source, request.type, options, error);
  if (index == nullptr) return nullptr;
  return std::make_unique<ArchiveImage>(std::move(source), std::move(index), request.scratch);
}

}  // namespace

ImageFormat archive_format() {
  return {{"iso9660", "tar", "zip", "cpio", "7z", "rar", "ar", "xar"}, false, detect, open};
}

}  // namespace viewsh

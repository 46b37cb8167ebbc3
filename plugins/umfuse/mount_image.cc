#include "mount_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <set>

#include "archive_image.h"
#include "image_fs.h"
#include "open_image.h"
#include "viewsh/long_path.h"

namespace viewsh {
namespace {

/// Options of mount(8) that say what is so anyway, or nothing here.
constexpr std::array<std::string_view, 20> kGenericOptions = {
    "ro",         "defaults", "nosuid",     "nodev",       "exec",       "loop",     "sync",
    "async",      "dirsync",  "noatime",    "atime",       "nodiratime", "diratime", "relatime",
    "norelatime", "lazytime", "nolazytime", "strictatime", "silent",     "symfollow"};

/// Bytes as losetup(8) takes them: 512, 64K, 1M.
bool parse_bytes(const std::string& text, uint64_t* out) {
  constexpr std::string_view kUnits = "KMGT";
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  if (error != std::errc()) return false;
  std::string_view unit(stop, static_cast<size_t>(end - stop));
  if (unit.empty()) return true;
  const size_t power = kUnits.find(static_cast<char>(unit[0] & ~0x20));
  if (power == std::string_view::npos) return false;
  unit.remove_prefix(1);
  const size_t shift = (power + 1) * 10;
  if ((!unit.empty() && unit != "iB" && unit != "B") || *out > (UINT64_MAX >> shift)) return false;
  *out <<= shift;
  return true;
}

struct Part {
  uint64_t offset = 0;
  uint64_t limit = 0;
};

/// Takes what isn't the format's own off the options. Empty, or what is wrong.
std::string take_options(std::map<std::string, std::string>* options, Part* part) {
  for (auto it = options->begin(); it != options->end();) {
    const auto& [key, value] = *it;
    const bool generic = value.empty() && std::find(kGenericOptions.begin(), kGenericOptions.end(),
                                                    key) != kGenericOptions.end();
    const bool of_part = key == "offset" || key == "sizelimit";
    if (of_part && !parse_bytes(value, key == "offset" ? &part->offset : &part->limit))
      return key + " must be a number of bytes such as 32K, not '" + value + "'";
    if (key == "rw")
      return "it can only be read; for changes that end with the view put --cow over it";
    it = generic || of_part ? options->erase(it) : std::next(it);
  }
  return {};
}

Caller own_caller(gid_t* groups, int size) {
  const int count = getgroups(size, groups);
  return {geteuid(), getegid(), {groups, static_cast<size_t>(std::max(count, 0))}, 022};
}

/// Opens the source in the view below the mount, where it may itself come from an image.
Result<UniqueFd> open_source(const MountRequest& request) {
  const std::string path = request.sources[0].substr(1);
  std::array<gid_t, 256> groups{};
  const Caller caller = own_caller(groups.data(), static_cast<int>(groups.size()));
  const OpenHow how{O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, NodeType::kRegular};
  TRY_ASSIGN(const OpenPlan plan, request.below->plan_open(path, how, caller));
  UniqueFd fd(::open(LongPath(plan.host).c_str(), plan.flags | how.flags, plan.mode));
  const Errno failed = Errno::last();
  if (plan.notify) request.below->opened(path, plan, fd.valid());
  if (!fd) return failed;
  return fd;
}

/// A device number of its own, and the same each time that the same view is made: layers remember
/// it. In a range that the kernel's own nameless devices don't get to.
uint32_t device_number(const MountRequest& request) {
  static std::set<uint32_t> taken;
  constexpr uint32_t kFirst = 0x80000;
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const std::string* text : {&request.sources[0], &request.at}) {
    for (const char c : *text + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  uint32_t minor = kFirst + hash % kFirst;
  while (!taken.insert(minor).second) minor = kFirst + (minor + 1) % kFirst;
  return minor;
}

/// Says of an archive what of it isn't shown.
void warn(const Image& image, const std::string& source) {
  const auto* archive = dynamic_cast<const ArchiveImage*>(&image);
  if (archive == nullptr || archive->index().left_out == 0) return;
  const auto count = static_cast<unsigned long long>(archive->index().left_out);
  fprintf(stderr, "viewsh: %s: %llu %s not shown: names that lead outside, or nowhere\n",
          source.c_str(), count, count == 1 ? "entry is" : "entries are");
}

}  // namespace

std::shared_ptr<FileSystem> mount_image(const MountRequest& request, Host& host,
                                        MountError* error) {
  const auto fail = [&](Errno code, const std::string& text) {
    *error = {code, text};
    return nullptr;
  };
  if (request.sources.size() != 1) return fail(Errno(EINVAL), "one source is needed");
  const std::string& name = request.sources[0];
  ImageRequest wanted;
  wanted.type = request.type;
  wanted.options = request.options;
  Part part;
  const std::string wrong = take_options(&wanted.options, &part);
  if (!wrong.empty()) return fail(Errno(EINVAL), name + ": " + wrong);
  Result<UniqueFd> fd = open_source(request);
  if (!fd) return fail(fd.error(), name + ": " + fd.error().message());
  Result<ImageSource> source = ImageSource::open(std::move(*fd), part.offset, part.limit);
  if (!source) {
    const bool behind = source.error() == EINVAL;
    const bool kind = source.error() == ENOTSUP;
    const std::string why = behind ? "offset is behind its end"
                            : kind ? "not a file or block device"
                                   : source.error().message();
    return fail(source.error(), name + ": " + why);
  }
  wanted.scratch = [&host, made = std::string()]() mutable -> Result<std::string> {
    if (made.empty()) {
      TRY_ASSIGN(made, host.scratch_dir("unpacked", false));
    }
    return made;
  };
  // A view doesn't show where it keeps things itself, if that is there when it begins. Without such
  // a place only what needs it fails.
  if (!request.look_only) (void)wanted.scratch();
  std::string note;
  wanted.note = &note;
  const auto opened = std::make_shared<const ImageSource>(std::move(*source));
  auto image = open_image(opened, wanted, error);
  if (image == nullptr) {
    error->text = name + ": " + error->text;
    return nullptr;
  }
  if (!request.look_only) {
    warn(*image, name);
    if (!note.empty()) fprintf(stderr, "viewsh: %s: %s\n", name.c_str(), note.c_str());
  }
  const NodeId root = image->root();
  auto mounted = std::make_shared<MountedImage>(opened, std::move(image), host,
                                                device_number(request), ImageStage::Limits{});
  return std::make_shared<ImageFs>(std::move(mounted), root);
}

}  // namespace viewsh

extern "C" __attribute__((visibility("default"))) viewsh::MountImage viewsh_mount_image() {
  return &viewsh::mount_image;
}

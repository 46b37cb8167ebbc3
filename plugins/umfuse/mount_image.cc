#include "mount_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "archive_image.h"
#include "device_number.h"
#include "image_outer.h"
#include "locked_fs.h"
#include "mount_fuse.h"
#include "open_image.h"
#include "viewsh/long_path.h"
#include "writable_fs.h"

namespace viewsh {
namespace {

/// Options of mount(8) that say what is so anyway, or nothing here.
constexpr std::array<std::string_view, 19> kGenericOptions = {
    "defaults", "nosuid",     "nodev",       "exec",       "loop",     "sync",     "async",
    "dirsync",  "noatime",    "atime",       "nodiratime", "diratime", "relatime", "norelatime",
    "lazytime", "nolazytime", "strictatime", "silent",     "symfollow"};

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

/// What the options of a mount say that isn't the format's own.
struct Wanted {
  uint64_t offset = 0;
  uint64_t limit = 0;
  bool ro = false;
  bool rw = false;  ///< it was said, not only not forbidden
  bool fakeroot = false;
};

/// Takes what isn't the format's own off the options. Empty, or what is wrong.
std::string take_options(std::map<std::string, std::string>* options, Wanted* wanted) {
  for (auto it = options->begin(); it != options->end();) {
    const auto& [key, value] = *it;
    const bool generic = value.empty() && std::find(kGenericOptions.begin(), kGenericOptions.end(),
                                                    key) != kGenericOptions.end();
    const bool of_part = key == "offset" || key == "sizelimit";
    if (of_part && !parse_bytes(value, key == "offset" ? &wanted->offset : &wanted->limit))
      return key + " must be a number of bytes such as 32K, not '" + value + "'";
    const bool of_way = value.empty() && (key == "ro" || key == "rw" || key == "fakeroot");
    if (of_way) (key == "ro" ? wanted->ro : key == "rw" ? wanted->rw : wanted->fakeroot) = true;
    it = generic || of_part || of_way ? options->erase(it) : std::next(it);
  }
  return wanted->ro && wanted->rw ? "ro and rw exclude each other" : "";
}

Caller own_caller(gid_t* groups, int size, const Credentials* as) {
  const int count = getgroups(size, groups);
  return {geteuid(), getegid(), {groups, static_cast<size_t>(std::max(count, 0))}, 022, as};
}

/// Opens the source in the view below the mount, where it may itself come from an image. `access`:
/// O_RDONLY or O_RDWR.
Result<UniqueFd> open_file(const MountRequest& request, const Credentials* as, int access,
                           ImageOuter* outer) {
  const std::string path = request.sources[0].substr(1);
  std::array<gid_t, 256> groups{};
  const Caller caller = own_caller(groups.data(), static_cast<int>(groups.size()), as);
  const OpenHow how{access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, NodeType::kRegular,
                    outer != nullptr};
  TRY_ASSIGN(const OpenPlan plan, request.below->plan_open(path, how, caller));
  UniqueFd fd(::open(LongPath(plan.host).c_str(), plan.flags | how.flags, plan.mode));
  const Errno failed = Errno::last();
  if (plan.notify) request.below->opened(path, plan, fd.valid());
  if (!fd) return failed;
  if (outer != nullptr) outer->set_file(fd.get(), plan.host);
  return fd;
}

/// Says of an archive what of it isn't shown.
void warn(const Image& image, const std::string& source) {
  const auto* archive = dynamic_cast<const ArchiveImage*>(&image);
  if (archive == nullptr || archive->index().left_out == 0) return;
  const auto count = static_cast<unsigned long long>(archive->index().left_out);
  fprintf(stderr, "viewsh: %s: %llu %s not shown: names that lead outside, or nowhere\n",
          source.c_str(), count, count == 1 ? "entry is" : "entries are");
}

/// One mount on its way. The texts of errors are without their subject.
class ImageMount {
 public:
  ImageMount(const MountRequest& request, Host& host, MountError* error)
      : request_(request), host_(host), error_(*error) {}
  std::shared_ptr<FileSystem> make();

 private:
  std::nullptr_t fail(Errno code, const std::string& text) {
    error_ = {code, text};
    return nullptr;
  }
  std::shared_ptr<const ImageSource> open_source(int access);
  std::shared_ptr<const ImageSource> open_for_writing();
  std::shared_ptr<FileSystem> make_fs(std::unique_ptr<Image> image);
  void say(const std::string& text) const {
    if (!request_.look_only && !text.empty())
      fprintf(stderr, "viewsh: %s: %s\n", request_.sources[0].c_str(), text.c_str());
  }

  const MountRequest& request_;
  Host& host_;
  MountError& error_;
  Wanted wanted_;
  ImageRequest image_;
  std::string note_;
  std::shared_ptr<const ImageSource> source_;
};

std::shared_ptr<const ImageSource> ImageMount::open_source(int access) {
  std::shared_ptr<ImageOuter> outer;
  if (access == O_RDWR) outer = ImageOuter::find(request_.below, request_.sources[0].substr(1));
  Result<UniqueFd> fd = open_file(request_, host_.credentials(), access, outer.get());
  // As mount(2) of what is no device, where the type needs one.
  if (!fd && fd.error() == EISDIR) return fail(Errno(ENOTBLK), "is a directory");
  if (!fd) return fail(fd.error(), fd.error().message());
  Result<ImageSource> source = ImageSource::open(std::move(*fd), wanted_.offset, wanted_.limit);
  if (source) source->set_outer(std::move(outer));
  if (source) return std::make_shared<const ImageSource>(std::move(*source));
  const bool behind = source.error() == EINVAL;
  const bool kind = source.error() == ENOTSUP;
  return fail(kind ? Errno(ENOTBLK) : source.error(), behind ? "offset is behind its end"
                                                      : kind ? "not a file or block device"
                                                             : source.error().message());
}

/// As mount(8): what can't be written is mounted for reading, and that is told. Null: an error.
std::shared_ptr<const ImageSource> ImageMount::open_for_writing() {
  std::shared_ptr<const ImageSource> source = open_source(O_RDWR);
  image_.writable = source != nullptr;
  if (source != nullptr) return source;
  const Errno code = error_.error;
  if (!(code == EACCES) && !(code == EROFS) && !(code == EPERM) && !(code == ETXTBSY))
    return nullptr;
  note_ = "mounted for reading only: " + error_.text;
  return source_;
}

std::shared_ptr<FileSystem> ImageMount::make() {
  image_.type = request_.type;
  image_.options = request_.options;
  image_.at = request_.at;
  const Credentials* as = host_.credentials();
  image_.uid = as != nullptr ? as->fsuid : geteuid();
  image_.gid = as != nullptr ? as->fsgid : getegid();
  const std::string wrong = take_options(&image_.options, &wanted_);
  if (!wrong.empty()) return fail(Errno(EINVAL), wrong);
  source_ = open_source(O_RDONLY);
  if (source_ == nullptr) return nullptr;
  const ImageFormat* format = find_format(*source_, &image_.type, &error_);
  if (format == nullptr) return nullptr;
  if (wanted_.rw && !format->writable)
    return fail(Errno(EINVAL),
                "it can only be read; for changes that end with the view put --cow over it");
  if (format->writable && !wanted_.ro && !request_.look_only) source_ = open_for_writing();
  if (source_ == nullptr) return nullptr;
  image_.scratch = [&host = host_, made = std::string()]() mutable -> Result<std::string> {
    if (made.empty()) {
      TRY_ASSIGN(made, host.scratch_dir("unpacked", false));
    }
    return made;
  };
  // A view doesn't show where it keeps things itself, if that is there when it begins. Without such
  // a place only what needs it fails.
  if (!request_.look_only) (void)image_.scratch();
  say(note_);
  note_.clear();
  image_.note = &note_;
  image_.around = source_->outer().get();
  auto image = format->open(source_, image_, &error_);
  if (image == nullptr) return nullptr;
  if (!request_.look_only) warn(*image, request_.sources[0]);
  say(note_);
  return make_fs(std::move(image));
}

std::shared_ptr<FileSystem> ImageMount::make_fs(std::unique_ptr<Image> image) {
  const NodeId root = image->root();
  const auto* changes = dynamic_cast<const WritableImage*>(image.get());
  auto* archive = dynamic_cast<ArchiveImage*>(image.get());
  Suspension* suspension = host_.suspension();
  ImageStage::Limits limits;
  limits.writable = image_.writable && changes != nullptr && !changes->read_only();
  limits.as_root = wanted_.fakeroot;
  auto mounted =
      std::make_shared<MountedImage>(source_, std::move(image), host_,
                                     device_number({&request_.sources[0], &request_.at}), limits);
  if (archive != nullptr && archive->is_slow() && suspension != nullptr) {
    suspension->expect_pauses();
    archive->share(suspension);
    mounted->share(suspension);
  }
  mounted->constant = !limits.writable;
  if (!limits.writable) return std::make_shared<ImageFs>(std::move(mounted), root);
  mounted->default_acls = true;
  auto fs = std::make_shared<WritableImageFs>(std::move(mounted), root);
  auto mutex = std::make_shared<std::mutex>();
  auto locked = std::make_shared<LockedFs>(std::move(fs), std::make_shared<MutexLock>(mutex),
                                           wanted_.fakeroot, source_->outer());
  locked->flush_regularly(std::move(mutex));
  return locked;
}

}  // namespace

std::shared_ptr<FileSystem> mount_image(const MountRequest& request, Host& host,
                                        MountError* error) {
  if (request.type == "fuse") return mount_fuse(request, host, error);
  if (request.sources.size() != 1) {
    *error = {Errno(EINVAL), "one source is needed"};
    return nullptr;
  }
  std::shared_ptr<FileSystem> fs = ImageMount(request, host, error).make();
  if (fs == nullptr) error->text = request.sources[0] + ": " + error->text;
  return fs;
}

}  // namespace viewsh

extern "C" __attribute__((visibility("default"))) viewsh::MountImage viewsh_mount_image() {
  return &viewsh::mount_image;
}

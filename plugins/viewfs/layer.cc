#include "layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "commit_record.h"
#include "host_ops.h"
#include "layer_reserve.h"
#include "layer_restore.h"
#include "layer_shared.h"

namespace viewsh::viewfs {
namespace {

constexpr char kCleanMark[] = "clean";
constexpr char kDoneMark[] = "done";
constexpr std::string_view kBootWord = "boot ";

/// Of this start of the machine; empty: not to be had, then every log may lack lines.
const std::string& boot_id() {
  static const std::string id = [] {
    auto text = read_whole(AT_FDCWD, "/proc/sys/kernel/random/boot_id");
    if (!text) return std::string();
    text->resize(std::min(text->find('\n'), text->size()));
    return *text;
  }();
  return id;
}

bool fail(MountError* error, int code, std::string text) {
  *error = {Errno(code), std::move(text)};
  return false;
}

UniqueFd open_dir(int at, const char* name, bool create) {
  if (create) mkdirat(at, name, 0700);
  return UniqueFd(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool is_empty(int dir_fd) {
  UniqueFd copy(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = copy ? fdopendir(copy.get()) : nullptr;
  if (dir == nullptr) return false;
  copy.release();
  bool empty = true;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    empty = empty && (name == "." || name == "..");
  }
  closedir(dir);
  return empty;
}

std::string told_layers(const std::vector<std::string>& names) {
  std::string out = names.size() > 1 ? "the layers " : "the layer ";
  for (size_t i = 0; i < names.size(); ++i) out += (i == 0 ? "" : ", ") + names[i];
  return out;
}

}  // namespace

std::optional<uint64_t> state_count(std::string_view mark) {
  constexpr std::string_view kStateWord = "state ";
  if (mark.substr(0, kStateWord.size()) != kStateWord) return {};
  mark.remove_prefix(kStateWord.size());
  uint64_t n = 0;
  const auto [end, ec] = std::from_chars(mark.data(), mark.data() + mark.size(), n);
  if (ec != std::errc() || end != mark.data() + mark.size()) return {};
  return n;
}

std::optional<std::string_view> boot_of(std::string_view mark) {
  if (!mark.starts_with(kBootWord)) return {};
  return mark.substr(kBootWord.size());
}

std::string log_text(const Transaction& state, bool closing) {
  std::string content = encode_text(kLogWord);
  content += encode_text("state " + std::to_string(state.records.size()));
  for (const Record& record : state.records) content += encode({{}, {record}});
  if (closing) content += encode_text(kCleanMark);
  return content;
}

std::string parse_closed_log(std::string_view text, std::vector<Transaction>* out) {
  if (!text.ends_with('\n')) return "its log is cut off";
  bool clean = false;
  uint64_t expected = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string_view line = text.substr(at, end - at);
    const std::string where = "at byte " + std::to_string(at);
    const auto mark = decode_text(line);
    if (!mark || clean) return "its log is damaged " + where;
    clean = *mark == kCleanMark;
    if (at == 0 && *mark != kLogWord) return "its log is not a log";
    const auto count = state_count(*mark);
    if (count) expected = *count;
    if (at > 0 && !clean && !count) {
      auto transaction = decode(line);
      if (!transaction) return "its log is unknown " + where;
      out->push_back(std::move(*transaction));
    }
    at = end + 1;
  }
  return clean && out->size() >= expected ? std::string() : "its log is cut off";
}

std::unique_ptr<Layer> Layer::open(const LayerSpec& spec, MountError* error) {
  std::unique_ptr<Layer> layer(new Layer(spec));
  if (spec.durable && !finish_restore(spec.dir, spec.name, error)) return nullptr;
  if (!layer->open_dirs(error)) return nullptr;
  if (spec.durable) {
    if (spec.write && !layer->lock(error)) return nullptr;
    if (spec.shared && !layer->lock_shared(error)) return nullptr;
    if (!layer->still_there(error)) return nullptr;
    if (!spec.recover && !layer->check_journal(error)) return nullptr;
    if (!layer->read_version(error) || !layer->read_log(error)) return nullptr;
  }
  // What can't be removed is never taken for something new: making the same name again is EEXIST.
  if (spec.write) (void)host_ops::remove_content(layer->work_fd());
  if (spec.write && spec.durable) drop_unfinished_snapshots(layer->dir_fd());
  layer->open_ = true;
  return layer;
}

bool Layer::open_dirs(MountError* error) {
  const std::string what = "layer " + spec_.name + ": ";
  if (spec_.create && !make_dirs(spec_.dir)) {
    return fail(error, errno, what + "can't make " + spec_.dir + ": " + strerror(errno));
  }
  dir_fd_.reset(::open(spec_.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir_fd_) {
    if (errno == ENOENT) return fail(error, ENOENT, what + "there is no such layer");
    return fail(error, errno, what + spec_.dir + ": " + strerror(errno));
  }
  if (spec_.create && spec_.durable && faccessat(dir_fd_.get(), "layer", F_OK, 0) < 0) {
    // New, or its making was cut short: there must be nothing of anybody else's.
    if (faccessat(dir_fd_.get(), "log", F_OK, 0) == 0) {
      return fail(error, EINVAL,
                  what + spec_.dir + " has a log but no version: not a usable layer");
    }
    for (const char* name : {"upper", "work", "links", "lock", "layer.new"}) {
      struct stat st {};
      if (fstatat(dir_fd_.get(), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        return fail(error, EINVAL, what + spec_.dir + " is not a layer");
      }
    }
  }
  const bool create = spec_.create;
  upper_fd_ = open_dir(dir_fd_.get(), "upper", create);
  if (upper_fd_ || !spec_.durable) work_fd_ = open_dir(dir_fd_.get(), "work", create);
  if (work_fd_) links_fd_ = open_dir(dir_fd_.get(), "links", create);
  upper_path_ = spec_.dir + "/upper";
  if (links_fd_) return true;
  const int code = errno;
  if (!still_there(error)) return false;
  if (code == ENOENT) return fail(error, EINVAL, what + spec_.dir + " is not a layer");
  return fail(error, code, what + spec_.dir + ": " + strerror(code));
}

bool Layer::still_there(MountError* error) const {
  struct stat open {};
  struct stat named {};
  if (fstat(dir_fd_.get(), &open) < 0) return fail(error, errno, strerror(errno));
  const bool same = stat(spec_.dir.c_str(), &named) == 0 && named.st_ino == open.st_ino &&
                    named.st_dev == open.st_dev;
  return same || fail(error, ENOENT, "layer " + spec_.name + ": was discarded just now");
}

bool Layer::not_locked(Errno why, MountError* error) const {
  const std::string what = "layer " + spec_.name + ": ";
  if (why != EBUSY) return fail(error, why.value(), what + why.message());
  const std::string user = layer_user(spec_.dir);
  return fail(error, EBUSY, what + "in use by view " + (user.empty() ? "unknown" : user));
}

bool Layer::open_file(const char* name, int flags, UniqueFd* fd, MountError* error) const {
  auto file = open_plain(dir_fd_.get(), name, flags);
  if (file) {
    *fd = std::move(*file);
    return true;
  }
  const bool other = file.error() == EINVAL || file.error() == EISDIR;
  const std::string why = other ? "not a regular file" : file.error().message();
  return fail(error, file.error().value(),
              "layer " + spec_.name + ": " + spec_.dir + "/" + name + ": " + why);
}

bool Layer::lock(MountError* error) {
  const std::string what = "layer " + spec_.name + ": ";
  if (!open_file("lock", O_RDWR | O_CREAT, &lock_fd_, error)) return false;
  if (const auto done = lock_layer(lock_fd_.get(), spec_.dir, LOCK_EX); !done)
    return not_locked(done.error(), error);
  if (ftruncate(lock_fd_.get(), 0) < 0 || !write_all(lock_fd_.get(), spec_.view_id + "\n")) {
    return fail(error, errno, what + "can't be written: " + strerror(errno));
  }
  return true;
}

bool Layer::lock_shared(MountError* error) {
  const std::string what = "layer " + spec_.name + ": ";
  if (!open_file("lock", O_RDWR | O_CREAT | O_APPEND, &lock_fd_, error)) return false;
  // The first reader begins the list of them anew.
  if (flock(lock_fd_.get(), LOCK_EX | LOCK_NB) == 0) (void)ftruncate(lock_fd_.get(), 0);
  if (const auto done = lock_layer(lock_fd_.get(), spec_.dir, LOCK_SH); !done)
    return not_locked(done.error(), error);
  if (const auto done = write_all(lock_fd_.get(), spec_.view_id + "\n"); !done) {
    return fail(error, done.error().value(), what + "can't be written: " + done.error().message());
  }
  return true;
}

bool Layer::stands_right(const LayerHeader& header, MountError* error) const {
  const auto wrong = [&](const std::string& why) {
    return fail(error, EINVAL, "layer " + spec_.name + ": " + why);
  };
  if (header.over != spec_.over) {
    std::string options;
    for (const std::string& name : header.over) options += "--layer " + name + " ";
    options += "--layer " + spec_.name;
    const std::string had = header.over.empty() ? "no other layer" : told_layers(header.over);
    return wrong("it was made to stand on " + had + ": use it as " + options);
  }
  const bool known = !header.lower.empty() && !spec_.lower.empty();
  if (!known || header.lower == spec_.lower) return true;
  return wrong("it was made over " + header.lower + ", not over " + spec_.lower);
}

bool Layer::check_journal(MountError* error) {
  const auto unfinished = CommitJournal::exists(dir_fd_.get());
  if (!unfinished) {
    return fail(error, unfinished.error().value(),
                "layer " + spec_.name + ": its commit journal: " + unfinished.error().message());
  }
  if (!*unfinished) return true;
  // While it lasts it holds the lock.
  const std::string user = spec_.write ? std::string() : layer_user(spec_.dir);
  if (!user.empty()) return fail(error, EBUSY, "layer " + spec_.name + ": is being committed");
  return fail(error, EBUSY,
              "layer " + spec_.name + ": a commit of it was cut short: viewsh commit --resume " +
                  spec_.name + " goes on with it, viewsh commit --undo " + spec_.name +
                  " takes it back");
}

bool Layer::read_version(MountError* error) {
  const std::string what = "layer " + spec_.name + ": ";
  auto text = read_whole(dir_fd_.get(), "layer");
  if (!text && text.error() == ENOENT && spec_.create) {
    const LayerHeader made{.at = spec_.at, .lower = spec_.lower, .over = spec_.over};
    const auto done = replace_file(dir_fd_.get(), "layer", header_text(made));
    if (done) return true;
    return fail(error, done.error().value(), what + "can't be written: " + done.error().message());
  }
  if (!text) {
    const std::string why = text.error() == ENOENT ? "not a layer" : text.error().message();
    return fail(error, EINVAL, what + spec_.dir + ": " + why);
  }
  LayerHeader header;
  if (const std::string why = parse_header(*text, &header); !why.empty()) {
    return fail(error, EINVAL, what + spec_.dir + "/layer: " + why);
  }
  if (!spec_.at.empty() && header.at != spec_.at) {
    return fail(error, EINVAL, what + "it was made for " + header.at + ", not for " + spec_.at);
  }
  if (spec_.stand && !stands_right(header, error)) return false;
  spec_.at = header.at;
  spec_.lower = header.lower;
  spec_.over = header.over;
  return true;
}

bool Layer::read_log(MountError* error) {
  const std::string what = "layer " + spec_.name + ": ";
  if (spec_.write) {
    if (!open_file("log", O_RDWR | O_CREAT | O_APPEND, &log_fd_, error)) return false;
  }
  auto text = read_whole(dir_fd_.get(), "log");
  if (!text && !(text.error() == ENOENT && !spec_.write)) {
    return fail(error, text.error().value(), what + "log: " + text.error().message());
  }
  size_t last = 0;
  if (std::string why = parse_log(text ? *text : std::string(), &last); !why.empty()) {
    return fail(error, EINVAL, what + why);
  }
  // Of a new layer the log is there, with its state, before anything gets into upper/.
  if (!expected_ && history_.empty() && (log_size_ == 0 || !clean_) && !is_empty(upper_fd())) {
    return fail(error, EINVAL, what + "its log is gone or cut off, but there is content in upper/");
  }
  const auto recovered = recover_last(last);
  if (!recovered) {
    return fail(error, recovered.error().value(), what + "log: " + recovered.error().message());
  }
  if (!spec_.write || log_size_ > 0) return true;
  const auto done = append(encode_text(kLogWord));
  if (!done) return fail(error, done.error().value(), what + "log: " + done.error().message());
  keep_reserve(dir_fd_.get(), 0);
  return true;
}

std::string Layer::parse_log(std::string_view all, size_t* last) {
  size_t at = 0;
  while (at < all.size()) {
    const size_t end = all.find('\n', at);
    const std::string_view line = all.substr(at, end - at);
    const auto mark = end == std::string_view::npos ? std::nullopt : decode_text(line);
    if (!mark) {
      // A torn line can only be the last one.
      if (end == std::string_view::npos || end + 1 == all.size()) break;
      return "its log is damaged at byte " + std::to_string(at);
    }
    if (at == 0 && *mark != kLogWord) return "its log is not a log";
    clean_ = *mark == kCleanMark;
    const auto count = state_count(*mark);
    if (count) expected_ = count;
    if (const auto boot = boot_of(*mark)) {
      boot_logged_ = !boot_id().empty() && *boot == boot_id();
    } else if (at == 0 || clean_ || count || *mark == kDoneMark) {
      unsettled_ = false;
    } else {
      auto transaction = decode(line);
      if (!transaction) return "its log is unknown at byte " + std::to_string(at);
      unsettled_ = transaction->test.kind != HostTest::Kind::kNone;
      history_.push_back(std::move(*transaction));
      *last = at;
    }
    at = end + 1;
  }
  if (at < all.size() || unsettled_) clean_ = false;
  // Those were on disk before the log got its name: no crash takes them away again.
  if (expected_ && history_.size() < *expected_) {
    return "its log is cut off: " + std::to_string(history_.size()) + " of " +
           std::to_string(*expected_) + " records are left";
  }
  if (at == 0) clean_ = true;
  interrupted_ = !clean_ && !boot_logged_;
  boot_logged_ = boot_logged_ && !clean_;
  log_size_ = at;
  return {};
}

Result<void> Layer::recover_last(size_t offset) {
  if (unsettled_) {
    TRY_ASSIGN(const bool done, last_is_done());
    if (!done) {
      history_.pop_back();
      log_size_ = offset;
    }
    unsettled_ = false;
    if (done && spec_.write) {
      TRY(from_libc(ftruncate(log_fd_.get(), static_cast<off_t>(log_size_))));
      return append(encode_text(kDoneMark));
    }
  }
  if (!spec_.write) return {};
  return from_libc(ftruncate(log_fd_.get(), static_cast<off_t>(log_size_)));
}

namespace {

bool is_full(const Result<void>& done) {
  return !done && (done.error() == ENOSPC || done.error() == EDQUOT);
}

}  // namespace

Result<void> Layer::append(const std::string& line) {
  if (broken_) return Errno(EIO);
  // The first line since the layer was opened, or the machine started, says so, if nothing is left
  // to be recovered.
  const bool first = !boot_logged_ && !interrupted_ && log_size_ > 0;
  const std::string boot = first ? encode_text(std::string(kBootWord) + boot_id()) : std::string();
  auto done = write_all(log_fd_.get(), boot + line);
  if (is_full(done) && spend_reserve(dir_fd_.get())) {
    done = from_libc(ftruncate(log_fd_.get(), static_cast<off_t>(log_size_)));
    if (done) done = write_all(log_fd_.get(), boot + line);
  }
  // And that is on disk: or the log would look as it was when it was closed last.
  if (done && first) done = from_libc(fdatasync(log_fd_.get()));
  if (!done) {
    broken_ = ftruncate(log_fd_.get(), static_cast<off_t>(log_size_)) < 0;
    return broken_ ? Errno(EIO) : done.error();
  }
  log_size_ += boot.size() + line.size();
  boot_logged_ = boot_logged_ || first;
  synced_ = false;
  return {};
}

Result<void> Layer::sync() {
  if (!durable() || synced_) return {};
  TRY(from_libc(fdatasync(log_fd_.get())));
  synced_ = true;
  return {};
}

Result<void> Layer::begin(const Transaction& transaction) {
  changed();
  if (!durable()) return {};
  const uint64_t before = log_size_;
  const bool boot = boot_logged_;
  // The line before is on disk, and what it looks for may be changed now: it must not be the last.
  const bool ahead = transaction.ahead || (unsettled_ && synced_);
  TRY(append(encode(transaction)));
  previous_size_ = before;
  previous_boot_ = boot;
  previous_unsettled_ = unsettled_;
  unsettled_ = transaction.test.kind != HostTest::Kind::kNone;
  if (!ahead) return {};
  const auto done = sync();
  if (!done) rollback();
  return done;
}

void Layer::rollback() {
  if (!durable()) return;
  // Should even the truncation fail, then the test of the last transaction tells that it was not
  // done; what follows it in this run is refused by append().
  broken_ = ftruncate(log_fd_.get(), static_cast<off_t>(previous_size_)) < 0;
  if (!broken_) log_size_ = previous_size_;
  boot_logged_ = previous_boot_;
  synced_ = false;
  // The line before it is the last one again, and as much in doubt as it was.
  unsettled_ = previous_unsettled_;
}

Result<void> Layer::settle() {
  changed();
  if (!unsettled_) return {};
  const bool ahead = synced_;  // as in begin()
  TRY(append(encode_text(kDoneMark)));
  unsettled_ = false;
  return ahead ? sync() : Result<void>();
}

Result<void> Layer::compact(const Transaction& state, bool closing) {
  if (!durable()) return {};
  std::string content = log_text(state, closing);
  const bool says_boot = !closing && !interrupted_;
  if (says_boot) content += encode_text(std::string(kBootWord) + boot_id());
  auto done = replace_file(dir_fd_.get(), "log", content);
  if (is_full(done) && spend_reserve(dir_fd_.get())) {
    done = replace_file(dir_fd_.get(), "log", content);
  }
  TRY(done);
  log_fd_.reset(openat(dir_fd_.get(), "log", O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!log_fd_) return Errno::last();
  log_size_ = content.size();
  boot_logged_ = says_boot;
  synced_ = true;
  unsettled_ = previous_unsettled_ = broken_ = false;
  if (closing) keep_reserve(dir_fd_.get(), content.size());
  return {};
}

Result<void> Layer::close() {
  if (!open_ || !spec_.write) return {};
  open_ = false;
  (void)host_ops::remove_content(work_fd());  // emptied again at the next open
  if (!durable()) {
    TRY(host_ops::remove_content(dir_fd_.get()));
    return from_libc(rmdir(spec_.dir.c_str()));
  }
  lock_fd_.reset();
  return {};
}

Layer::~Layer() { (void)close(); }

}  // namespace viewsh::viewfs

// The module that mount-host loads: libfuse3 as a TreeServer.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>

#include "outside/fuse/requests.h"
#include "viewsh/unique_fd.h"

namespace viewsh {
namespace {

std::string& library_words() {
  static std::string text;
  return text;
}

void keep_words(fuse_log_level, const char* format, va_list arguments) {
  char text[512];
  vsnprintf(text, sizeof text, format, arguments);
  library_words() += text;
}

/// While one lives, what this process and those that it starts say on standard error is kept.
class KeptErrors {
 public:
  KeptErrors() : file_(memfd_create("viewsh-errors", MFD_CLOEXEC)), before_(dup(STDERR_FILENO)) {
    if (file_ && before_) dup2(file_.get(), STDERR_FILENO);
  }
  ~KeptErrors() {
    if (file_ && before_) dup2(before_.get(), STDERR_FILENO);
  }
  KeptErrors(const KeptErrors&) = delete;
  KeptErrors& operator=(const KeptErrors&) = delete;
  std::string text() const {
    char buffer[1024];
    const ssize_t n = pread(file_.get(), buffer, sizeof buffer, 0);
    return {buffer, static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }

 private:
  UniqueFd file_;
  UniqueFd before_;
};

/// "fusermount3: mount failed: Permission denied\n..." -> "mount failed: Permission denied"
std::string first_line(std::string text) {
  text = text.substr(0, text.find('\n'));
  for (const char* who : {"fusermount3: ", "fusermount: ", "fuse: "}) {
    if (text.starts_with(who)) text.erase(0, strlen(who));
  }
  return text;
}

/// A value of an option of mount(8): a comma would end it. fuse_opt_add_opt_escaped()
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class FuseServer final : public TreeServer {
 public:
  explicit FuseServer(ServedTree& tree) : tree_(tree), requests_(make_requests()) {}
  ~FuseServer() override {
    if (session_ == nullptr) return;
    unmount();
    fuse_session_destroy(session_);
  }
  FuseServer(const FuseServer&) = delete;
  FuseServer& operator=(const FuseServer&) = delete;

  std::string mount(const std::string& dir, const std::string& source) override {
    fuse_set_log_func(keep_words);
    fuse_args args = FUSE_ARGS_INIT(0, nullptr);
    const std::string options = "default_permissions,subtype=viewsh,fsname=" + escaped(source);
    const bool added = fuse_opt_add_arg(&args, "viewsh") == 0 &&
                       fuse_opt_add_arg(&args, "-o") == 0 &&
                       fuse_opt_add_arg(&args, options.c_str()) == 0;
    if (added) session_ = fuse_session_new(&args, &requests_, sizeof requests_, &tree_);
    fuse_opt_free_args(&args);
    if (session_ == nullptr) return why("");
    const KeptErrors errors;
    mounted_ = fuse_session_mount(session_, dir.c_str()) == 0;
    if (!mounted_) return why(errors.text());
    if (fuse_set_signal_handlers(session_) != 0) return why(errors.text());
    handles_signals_ = true;
    return "";
  }

  std::string serve() override {
    library_words().clear();
    const int ended = fuse_session_loop(session_);
    // A signal is as good an end as an umount.
    return ended >= 0 ? "" : strerror(-ended);
  }

  void unmount() override {
    if (handles_signals_) fuse_remove_signal_handlers(session_);
    if (mounted_) fuse_session_unmount(session_);
    handles_signals_ = mounted_ = false;
  }

 private:
  static std::string why(const std::string& said) {
    std::string line = first_line(said);
    if (line.empty()) line = first_line(library_words());
    return line.empty() ? "it can't be mounted" : line;
  }

  ServedTree& tree_;
  fuse_lowlevel_ops requests_;
  fuse_session* session_ = nullptr;
  bool mounted_ = false;
  bool handles_signals_ = false;
};

std::unique_ptr<TreeServer> make(ServedTree& tree) { return std::make_unique<FuseServer>(tree); }

}  // namespace
}  // namespace viewsh

extern "C" __attribute__((visibility("default"))) const viewsh::TreeServerEntry*
viewsh_tree_server() {
  static const viewsh::TreeServerEntry entry{viewsh::kTreeServerVersion, viewsh::make};
  return &entry;
}

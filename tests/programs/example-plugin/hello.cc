// An example of a plugin that is built outside the tree of viewsh: the file-system type `hello`, a
// directory with one file that greets. To be copied and changed.
//
//     mounts:
//       - {type: hello, at: /greeting, options: [name=World]}
//     plugins: [{path: ./hello.so}]

#include <fcntl.h>
#include <unistd.h>

#include "viewsh/plugin.h"

namespace {

using viewsh::Attr;
using viewsh::Caller;
using viewsh::DirEntry;
using viewsh::Errno;
using viewsh::Found;
using viewsh::Host;
using viewsh::MountError;
using viewsh::MountRequest;
using viewsh::NodeType;
using viewsh::OpenHow;
using viewsh::OpenPlan;
using viewsh::ResolveFlags;
using viewsh::Result;

constexpr std::string_view kFile = "hello.txt";

/// A read-only directory with the file hello.txt. Its content is a real file in a directory that
/// the engine gave us, so that tasks read and map it at native speed.
class HelloFs final : public viewsh::FileSystem {
 public:
  explicit HelloFs(std::string directory) : directory_(std::move(directory)) {}
  ~HelloFs() override {
    ::unlink(host("hello.txt").c_str());
    ::rmdir(directory_.c_str());
  }

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags,
                        const Caller&) override {
    std::string path = base;
    if (!base.empty() && !rest.empty()) path += '/';
    path += rest;
    Found found;
    found.consumed = rest.size();
    found.host = host(path);
    if (path.empty() || path == kFile) {
      found.exists = true;
      found.type = path.empty() ? NodeType::kDirectory : NodeType::kRegular;
      return found;
    }
    size_t slash = path.find('/');
    if (slash != std::string::npos)
      return path.substr(0, slash) == kFile ? Errno(ENOTDIR) : Errno(ENOENT);
    found.kind = Found::Kind::kMissing;
    return found;
  }

  Result<Attr> getattr(const std::string& path) override {
    if (!path.empty() && path != kFile) return Errno(ENOENT);
    Attr attr{};
    if (::statx(AT_FDCWD, host(path).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &attr) < 0)
      return Errno::last();
    return attr;
  }

  Result<std::vector<DirEntry>> list(const std::string& path) override {
    if (path == kFile) return Errno(ENOTDIR);
    auto attr = getattr(std::string(kFile));
    if (!attr) return attr.error();
    return std::vector<DirEntry>{{std::string(kFile), attr->stx_ino, NodeType::kRegular}};
  }

  std::optional<std::string> reverse(const std::string& path) override {
    if (path == directory_) return "";
    if (path == host("hello.txt")) return "hello.txt";
    return std::nullopt;
  }
  bool fix_attr(Attr*) override { return false; }

  std::string_view type() const override { return "hello"; }
  bool read_only() const override { return true; }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how, const Caller&) override {
    bool writes = (how.flags & O_ACCMODE) != O_RDONLY || (how.flags & O_TRUNC) != 0;
    if (!path.empty() && path != kFile) return Errno((how.flags & O_CREAT) != 0 ? EROFS : ENOENT);
    if ((how.flags & O_CREAT) != 0 && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
    if (writes) return Errno(path.empty() ? EISDIR : EROFS);
    return OpenPlan{host(path), how.flags & ~(O_CREAT | O_EXCL), 0, false};
  }
  void opened(const std::string&, const OpenPlan&, bool) override {}

  Result<void> mkdir(const std::string&, mode_t, const Caller&) override { return Errno(EROFS); }
  Result<void> mknod(const std::string&, mode_t, dev_t, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> symlink(const std::string&, const std::string&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> link(const std::string&, const std::string&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> link_host(const std::string&, const std::string&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> unlink(const std::string&, const Caller&) override { return Errno(EROFS); }
  Result<void> rmdir(const std::string&, const Caller&) override { return Errno(EROFS); }
  Result<void> rename(const std::string&, const std::string&, unsigned, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> setattr(const std::string&, const viewsh::SetAttr&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> setxattr(const std::string&, const std::string&, std::string_view, int,
                        const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> removexattr(const std::string&, const std::string&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<std::string> watch(const std::string& path, const Caller&) override { return host(path); }

 private:
  std::string host(const std::string& path) const {
    return path.empty() ? directory_ : directory_ + "/" + path;
  }
  std::string directory_;
};

class HelloPlugin final : public viewsh::Plugin {
 public:
  explicit HelloPlugin(Host* host) : host_(*host) {}
  std::vector<std::string> fs_types() const override { return {"hello"}; }

  std::shared_ptr<viewsh::FileSystem> mount(const MountRequest& request,
                                            MountError* error) override {
    auto name = request.options.find("name");
    std::string text = "Hello, " + (name == request.options.end() ? "World" : name->second) + "!\n";
    Result<std::string> directory = host_.scratch_dir("hello", true);
    if (!directory) {
      *error = {directory.error(), "hello: no private directory: " + directory.error().message()};
      return nullptr;
    }
    std::string path = *directory + "/hello.txt";
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    bool written =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    Errno why = Errno::last();
    if (fd >= 0) ::close(fd);
    if (!written) {
      *error = {why, "hello: " + path + ": " + why.message()};
      return nullptr;
    }
    return std::make_shared<HelloFs>(*directory);
  }

 private:
  Host& host_;
};

constexpr viewsh::PluginEntry make_entry() {
  viewsh::PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "hello";
  entry.version = "1.0";
  entry.description = "A directory with a greeting";
  entry.provides = "fs:hello";
  entry.create = [](Host* host) -> viewsh::Plugin* { return new HelloPlugin(host); };
  return entry;
}

const viewsh::PluginEntry kEntry = make_entry();

}  // namespace

VIEWSH_PLUGIN(kEntry)
